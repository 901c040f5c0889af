// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;

/**
 * Memory that a device can reach: where the program finds it ({@link #segment}) and where the
 * device does ({@link #iova}).
 *
 * <p>From the moment it is made until {@link #close} returns, the kernel keeps the pages in memory,
 * and every device of the {@link DmaSpace} may read them and, unless the segment is read-only,
 * write them at any time. Until then the memory must stay: {@link PciDevice#allocate} sees to that;
 * who maps memory of his own must not free it, close its arena, or map anything else in its place.
 * A device that is told of the IOVA after the close is stopped by the IOMMU: what it wanted to read
 * or write is lost, and the kernel logs a fault.
 *
 * <p>Thread-safe, as memory is: what a device and the program do at the same time is theirs to
 * agree on.
 */
public final class DmaBuffer implements AutoCloseable {
  private final DmaSpace space;
  private final OpenParts owner;
  private final MemorySegment segment;
  private final long iova;
  private final long mapped;
  private final Runnable free;
  private boolean reachable = true;

  DmaBuffer(
      DmaSpace space,
      OpenParts owner,
      MemorySegment segment,
      long iova,
      long mapped,
      Runnable free) {
    this.space = space;
    this.owner = owner;
    this.segment = segment;
    this.iova = iova;
    this.mapped = mapped;
    this.free = free;
  }

  /** The memory. That of {@link PciDevice#allocate} ends with the buffer. */
  public MemorySegment segment() {
    return segment;
  }

  /** Where devices find its first byte: what is written into their registers and descriptors. */
  public long iova() {
    return iova;
  }

  /**
   * Where devices find a byte of it.
   *
   * @param offset bytes from the start; its end counts as a place, to tell how far it goes
   * @throws IndexOutOfBoundsException outside
   */
  public long iova(long offset) {
    if (offset < 0 || offset > segment.byteSize()) {
      throw new IndexOutOfBoundsException(
          "the buffer has 0x%x bytes: offset=0x%x".formatted(segment.byteSize(), offset));
    }
    return iova + offset;
  }

  /** How many bytes there are. */
  public long size() {
    return segment.byteSize();
  }

  /**
   * Takes the memory from the devices, and then frees it if {@link PciDevice#allocate} made it. A
   * second call does nothing.
   *
   * @throws org.vfio4j.error.VfioException if the kernel refuses, which it does for no reason of
   *     the caller's: memory and IOVA then stay in use until the space closes
   * @throws IllegalStateException if another thread's system call is using the segment: the devices
   *     cannot reach it any more; close again to free it
   */
  @Override
  public synchronized void close() {
    if (reachable) {
      space.unmap(iova, mapped, free);
      reachable = false;
    }
    free.run();
    owner.forget(this);
  }

  @Override
  public String toString() {
    return "0x%x bytes at IOVA 0x%x".formatted(segment.byteSize(), iova);
  }
}
