// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import org.vfio4j.event.DmaFaultEvent;

/**
 * Where a device's DMA enters: every access is translated by whatever the device is attached to at
 * that moment. Any number of threads may use a port; translation takes no lock and allocates
 * nothing.
 *
 * <p>An access that starts after {@code unmap} or a detach has returned does not see the memory.
 * One that was running then may still finish on it, as on hardware without an invalidation fence.
 */
public final class DmaPort {
  private final String device;
  private final Translation translation;
  private final Consumer<DmaFault> faults;

  /**
   * A port of a device.
   *
   * @param device the name that faults are reported under
   * @param translation what translates its requests, now and after each re-attach
   * @param faults told of each fault, on the thread that caused it
   */
  public DmaPort(String device, Translation translation, Consumer<DmaFault> faults) {
    this.device = device;
    this.translation = translation;
    this.faults = faults;
  }

  /** The name faults are reported under. */
  public String device() {
    return device;
  }

  /**
   * The mapping behind a range, which lies inside it as a whole.
   *
   * @param iova first address
   * @param length bytes, at least 1
   * @param access {@link Mapping#READ}, {@link Mapping#WRITE} or both
   * @throws DmaFaultException if any part is not mapped for that access; a range over two mappings
   *     is to be asked for in two
   */
  public Mapping translate(long iova, long length, int access) {
    Mapping mapping = translation.table().find(iova);
    if (mapping.allows(iova, length, access)) {
      return mapping;
    }
    throw fault(mapping, iova, length, access);
  }

  /**
   * The mapping at an address, or {@link Mapping#NONE}. Reports no fault: for who has other places
   * to look, or to check the access himself.
   */
  public Mapping find(long iova) {
    return translation.table().find(iova);
  }

  /** Whether one byte at {@code iova} could be accessed so now. Reports no fault. */
  public boolean reaches(long iova, int access) {
    return translation.table().find(iova).allows(iova, 1, access);
  }

  /**
   * Reads memory as the device would, over as many mappings as it takes.
   *
   * @throws DmaFaultException at the first address that is not readable; what was before it is in
   *     {@code target}
   */
  public void read(long iova, MemorySegment target) {
    long done = 0;
    while (done < target.byteSize()) {
      long at = iova + done;
      Mapping mapping = translate(at, 1, Mapping.READ);
      long count = Math.min(target.byteSize() - done, mapping.left(at));
      MemorySegment.copy(mapping.memory(), mapping.offset(at), target, done, count);
      done += count;
    }
  }

  /**
   * Writes memory as the device would, over as many mappings as it takes.
   *
   * @throws DmaFaultException at the first address that is not writable; what was before it is
   *     written
   */
  public void write(long iova, MemorySegment source) {
    long done = 0;
    while (done < source.byteSize()) {
      long at = iova + done;
      Mapping mapping = translate(at, 1, Mapping.WRITE);
      long count = Math.min(source.byteSize() - done, mapping.left(at));
      MemorySegment.copy(source, done, mapping.memory(), mapping.offset(at), count);
      done += count;
    }
  }

  private DmaFaultException fault(Mapping mapping, long iova, long length, int access) {
    boolean mapped = mapping.allows(iova, length, 0);
    DmaFault fault =
        new DmaFault(
            device,
            iova,
            length,
            access,
            mapped ? DmaFault.Cause.NO_PERMISSION : DmaFault.Cause.NOT_MAPPED);
    record(fault);
    faults.accept(fault);
    return new DmaFaultException(fault);
  }

  private static void record(DmaFault fault) {
    DmaFaultEvent event = new DmaFaultEvent();
    if (event.shouldCommit()) {
      event.device = fault.device();
      event.iova = fault.iova();
      event.bytes = fault.length();
      event.cause = fault.cause().name();
      event.commit();
    }
  }
}
