// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * The memory of a device's user: what the user maps and unmaps, and what the device reads and
 * writes. Behind it stands a {@link Container} of type1v2 with the device in it as a plain mediated
 * device, so limits, errors and faults are the engine's. Thread-safe.
 *
 * <p><b>Unmapping.</b> When {@link #unmap} returns, no access can reach the memory: those that were
 * inside have left, those that come later fault. Every access takes a counter of a {@link Guard},
 * looks the address up, copies at most {@value #CHUNK} bytes and leaves; an unmap removes the
 * mapping from the table, waits for those that are inside, and only then unmaps the memory. So an
 * unmap waits for one chunk, never for a whole transfer; a longer transfer whose memory goes faults
 * at its next chunk.
 *
 * <p><b>Memory that goes away.</b> A user can shrink a file that it handed over, and an access by
 * the JVM would then end in SIGBUS. A file that is sealed against that (QEMU's {@code
 * memory-backend-memfd}, unless it was told {@code seal=off}) is accessed directly. Every other is
 * copied by the kernel ({@link IndirectAccess}), for which missing memory is an errno: about a
 * microsecond for each access, and a fault of that access only. Memory without a descriptor is
 * asked for by message, {@link RemoteMemory}.
 *
 * <p>Accesses throw {@link DmaFaultException} at the first address that cannot be accessed; what is
 * before it is transferred. Accesses to memory without a descriptor wait for the user and must not
 * come from the thread that serves it: see {@link Emulation}.
 */
public final class UserMemory implements AutoCloseable {
  /** Bytes that are copied while an unmap may have to wait. */
  public static final int CHUNK = 1 << 16;

  /** How long an unmap waits for accesses; a chunk takes some ten microseconds. */
  public static final Duration PATIENCE = Duration.ofSeconds(2);

  /** The device may read: {@code VFIO_DMA_MAP_FLAG_READ}. */
  public static final int READ = Mapping.READ;

  /** The device may write: {@code VFIO_DMA_MAP_FLAG_WRITE}. */
  public static final int WRITE = Mapping.WRITE;

  /** {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
  public static final int UNMAP_ALL = Container.UNMAP_ALL;

  /** 7.2's rules: an unmap that ends at 2^64 works there, which QEMU sends. */
  private static final KernelProfile PROFILE = KernelProfile.LINUX_7_2;

  /** The device that the mediated one is made of: a name for messages. */
  private record Parent(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PLATFORM;
    }
  }

  private final SoftIommu iommu = new SoftIommu(PROFILE);
  private final DmaPort port;
  private final Guard guard = new Guard();
  private final UserMappings mappings;
  private final IndirectAccess indirect;

  /**
   * An empty space.
   *
   * @param device the name that faults are reported under
   * @param entryLimit mappings that there can be at once; the kernel's is 65535
   * @param remote asked for memory that came without a descriptor
   */
  public UserMemory(String device, int entryLimit, RemoteMemory remote) {
    this(device, entryLimit, remote, MemoryLimits.DEFAULT, Optional.empty());
  }

  /** The empty space of a client. */
  UserMemory(Peer peer) {
    this(peer.device(), peer.maxMappings(), peer.memory(), peer.limits(), Optional.of(peer));
  }

  private UserMemory(
      String device,
      int entryLimit,
      RemoteMemory remote,
      MemoryLimits limits,
      Optional<Peer> peer) {
    AddressSpace memory = new AddressSpace();
    Windows windows = new Windows(memory, limits);
    Type1Parameters parameters = new Type1Parameters();
    parameters.entryLimit(entryLimit);
    IommuGroup group = iommu.addGroup(1, IommuUnit.NONE, List.of());
    iommu.addDevice(
        group, new MediatedDevice(device, "vfio-user", new Parent("vfio4j"), Isolation.PLAIN));
    Container container = new Container("user of " + device, iommu, PROFILE, Type1.V2, parameters);
    container.attach(group);
    port = container.emulatedPort(device, iommu::report);
    mappings = new UserMappings(device, container, memory, windows, guard, peer);
    indirect = new IndirectAccess(device, windows, guard, remote, iommu::report);
  }

  /** An empty space with the kernel's limit and no memory without descriptors. */
  public UserMemory(String device) {
    this(device, Type1Parameters.DEFAULT_ENTRY_LIMIT, RemoteMemory.NONE);
  }

  /**
   * The user maps memory ({@code VFIO_IOMMU_MAP_DMA}).
   *
   * @param iova where the device will find it, page aligned
   * @param size bytes, page aligned, above 0
   * @param prot {@link #READ}, {@link #WRITE} or both
   * @param file what holds it; stays the caller's, who may close it at once. Absent: it is asked
   *     for by message
   * @param offset where in the file, in bytes, page aligned
   * @throws VfioException EINVAL (misaligned, no permission, not to be mapped), EOVERFLOW (wraps),
   *     EEXIST (overlaps), ENOSPC (too many), EFAULT (beyond the file's end), EACCES (the
   *     descriptor does not allow it), ENOMEM (beyond {@link MemoryLimits}, or the kernel has no
   *     room). Nothing has changed then.
   */
  public void map(long iova, long size, int prot, Optional<Descriptor> file, long offset) {
    mappings.map(iova, size, prot, file, offset);
  }

  /**
   * The user unmaps ({@code VFIO_IOMMU_UNMAP_DMA}, type1v2): every mapping inside the range goes,
   * holes are no error. When this returns the device cannot reach the memory.
   *
   * @param iova first address, page aligned
   * @param size bytes, page aligned; 0 with {@link #UNMAP_ALL}
   * @param flags 0 or {@link #UNMAP_ALL}
   * @return bytes unmapped
   * @throws VfioException EINVAL (misaligned, unknown flag, or the range cuts a mapping in two),
   *     EOVERFLOW (wraps). Nothing has changed then. EIO if an access has not ended after {@link
   *     #PATIENCE}: then everything is unmapped, and the client is disconnected.
   */
  public long unmap(long iova, long size, int flags) {
    return mappings.unmap(iova, size, flags);
  }

  /** Which accesses are inside; for tests, to be one that does not leave. */
  Guard guard() {
    return guard;
  }

  /** Live mappings. */
  public int mappings() {
    return mappings.count();
  }

  /** Mappings that can still be added. */
  public long available() {
    return mappings.available();
  }

  /** The latest faults, oldest first, 256 at most. */
  public List<DmaFault> faults() {
    return iommu.faults();
  }

  /**
   * Reads memory of the user.
   *
   * @param target where the bytes go, from {@code offset} on; of the heap or not
   * @param count bytes
   * @throws DmaFaultException at the first address that is not readable
   */
  public void read(long iova, MemorySegment target, long offset, long count) {
    Objects.checkFromIndexSize(offset, count, target.byteSize());
    for (long done = 0; done < count; ) {
      done += readSome(iova + done, target, offset + done, Math.min(count - done, CHUNK));
    }
  }

  private long readSome(long iova, MemorySegment target, long offset, long count) {
    int inside = guard.enter();
    try {
      Mapping mapping = port.find(iova);
      if (mapping.allows(iova, 1, READ)) {
        long some = Math.min(count, mapping.left(iova));
        MemorySegment.copy(mapping.memory(), mapping.offset(iova), target, offset, some);
        return some;
      }
    } finally {
      guard.leave(inside);
    }
    return indirect.read(iova, target, offset, count);
  }

  /**
   * Writes memory of the user.
   *
   * @param source where the bytes are, from {@code offset} on; of the heap or not
   * @param count bytes
   * @throws DmaFaultException at the first address that is not writable
   */
  public void write(long iova, MemorySegment source, long offset, long count) {
    Objects.checkFromIndexSize(offset, count, source.byteSize());
    for (long done = 0; done < count; ) {
      done += writeSome(iova + done, source, offset + done, Math.min(count - done, CHUNK));
    }
  }

  private long writeSome(long iova, MemorySegment source, long offset, long count) {
    int inside = guard.enter();
    try {
      Mapping mapping = port.find(iova);
      if (mapping.allows(iova, 1, WRITE)) {
        long some = Math.min(count, mapping.left(iova));
        MemorySegment.copy(source, offset, mapping.memory(), mapping.offset(iova), some);
        return some;
      }
    } finally {
      guard.leave(inside);
    }
    return indirect.write(iova, source, offset, count);
  }

  /**
   * Copies within the memory of the user, from the lowest address up. Where both sides are accessed
   * directly there is no buffer between. Ranges must not overlap.
   *
   * @param count bytes
   * @throws DmaFaultException at the first address that is not readable, or not writable
   */
  public void copy(long from, long to, long count) {
    byte @Nullable [] bounce = null;
    for (long done = 0; done < count; ) {
      long some = copySome(from + done, to + done, Math.min(count - done, CHUNK));
      if (some == 0) {
        some = Math.min(count - done, CHUNK);
        bounce = bounce == null ? new byte[(int) some] : bounce;
        MemorySegment buffer = MemorySegment.ofArray(bounce);
        some = readSome(from + done, buffer, 0, Math.min(some, bounce.length));
        write(to + done, buffer, 0, some);
      }
      done += some;
    }
  }

  /** What can be copied directly, or 0. */
  private long copySome(long from, long to, long count) {
    int inside = guard.enter();
    try {
      Mapping source = port.find(from);
      Mapping target = port.find(to);
      if (!source.allows(from, 1, READ) || !target.allows(to, 1, WRITE)) {
        return 0;
      }
      long some = Math.min(count, Math.min(source.left(from), target.left(to)));
      MemorySegment.copy(
          source.memory(), source.offset(from), target.memory(), target.offset(to), some);
      return some;
    } finally {
      guard.leave(inside);
    }
  }

  /**
   * Writes eight bytes as one, after everything that was written before: how a device says that
   * something is done. Memory that is not accessed directly may be written in parts.
   *
   * @param iova a multiple of 8
   * @throws DmaFaultException if it is not writable
   * @throws IllegalArgumentException if it is not a multiple of 8
   */
  public void publish(long iova, long value) {
    if ((iova & 7) != 0) {
      throw new IllegalArgumentException("not a multiple of 8: iova=0x%x".formatted(iova));
    }
    int inside = guard.enter();
    try {
      Mapping mapping = port.find(iova);
      if (mapping.allows(iova, Long.BYTES, WRITE)) {
        VarHandle.releaseFence();
        mapping.memory().set(ValueLayout.JAVA_LONG, mapping.offset(iova), value);
        return;
      }
    } finally {
      guard.leave(inside);
    }
    MemorySegment bytes = MemorySegment.ofArray(new long[] {value});
    write(iova, bytes, 0, Long.BYTES);
  }

  /**
   * Unmaps everything. Every access from now on faults. Waits for accesses that are inside, {@link
   * #PATIENCE} at most: memory that one does not leave stays mapped in this process until it does.
   */
  @Override
  public void close() {
    mappings.close();
  }
}
