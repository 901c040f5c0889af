// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.Vfio;

/**
 * An address space that several devices share: a VFIO container of type1v2. What one of them
 * allocates, all of them reach at the same IOVA. Devices of one IOMMU group must share one, since
 * the kernel gives a group to one opener; a device that stands alone needs none of its own ({@link
 * PciDevice#open(String)} makes one).
 *
 * <p>A group comes with its first device and goes with its last. Closing the space closes its
 * devices, the youngest first. Thread-safe.
 */
public final class DmaSpace implements AutoCloseable {
  private final SystemCalls calls;
  private final Sysfs sysfs;
  private final Diagnosis diagnosis;
  private final ContainerCalls container;
  private final IovaAllocator iovas = new IovaAllocator();
  private final OpenParts devices = new OpenParts("the DMA space");
  private final Map<Integer, Group> groups = new HashMap<>();

  /** Memory whose mapping the kernel would not remove: freed when the container is gone. */
  private final List<Runnable> kept = new ArrayList<>();

  private volatile long pageSize = 4096;

  private DmaSpace(SystemCalls calls, Sysfs sysfs, Diagnosis diagnosis, ContainerCalls container) {
    this.calls = calls;
    this.sysfs = sysfs;
    this.diagnosis = diagnosis;
    this.container = container;
  }

  /**
   * A new space without devices.
   *
   * @throws VfioException ENOENT if the kernel has no VFIO, EACCES for a user who may not
   */
  public static DmaSpace create() {
    return create(SystemCalls.libc(), Sysfs.ofThisMachine(), Path.of("/proc"));
  }

  static DmaSpace create(SystemCalls calls, Sysfs sysfs, Path proc) {
    Diagnosis diagnosis = new Diagnosis(sysfs, proc, calls);
    try {
      return new DmaSpace(calls, sysfs, diagnosis, ContainerCalls.open(calls));
    } catch (SystemCallException e) {
      throw diagnosis.noVfio(e);
    }
  }

  /**
   * Opens a device in this space. Its group joins, if this is the group's first device here.
   *
   * @param address as in {@code 0000:00:02.0}; domain 0 may be left out
   * @throws VfioException ENODEV or ENOENT if there is no such device or VFIO does not offer it
   *     (the message tells its driver), EBUSY if somebody has the group (the message tells who, if
   *     this user may know), EPERM if the group is not viable (the message tells its members and
   *     their drivers) or interrupts are not isolated, EINVAL if a mapping of this space lies where
   *     the group cannot have it
   * @throws IllegalArgumentException if that is no PCI address
   */
  public PciDevice open(String address) {
    return open(address, () -> {});
  }

  /** Opens a device that also ends {@code after} itself. */
  synchronized PciDevice open(String address, Runnable after) {
    devices.check();
    String name = PciDevice.fullAddress(address);
    if (sysfs.device(name).isEmpty()) {
      throw diagnosis.noDevice(name);
    }
    int id = sysfs.groupOf(name).orElseThrow(() -> diagnosis.noGroup(name));
    PciDevice opened = open(join(id, name), name, after);
    return devices.add(opened, opened::close);
  }

  private PciDevice open(Group group, String name, Runnable after) {
    try {
      DeviceCalls device = device(group, name);
      try {
        return new PciDevice(this, device, name, () -> leave(group), after);
      } catch (RuntimeException e) {
        device.close();
        throw e;
      }
    } catch (RuntimeException e) {
      leave(group);
      throw e;
    }
  }

  /**
   * What can be mapped for all devices of the space: without reserved regions, within what the
   * IOMMU addresses. Ascending; empty while there is no device.
   */
  public List<IovaRange> windows() {
    return iovas.windows();
  }

  /** The smallest page, in bytes: what mapped memory is aligned to. */
  public long pageSize() {
    return pageSize;
  }

  /** Closes all devices, and with them all buffers. A second call does nothing. */
  @Override
  public void close() {
    if (devices.end()) {
      OpenParts.inOrder(List.of(devices::close, container::close, this::freeKept));
    }
  }

  /** Maps memory of {@code bytes} at the first IOVA that fits. */
  DmaBuffer map(
      PciDevice device, OpenParts owner, MemorySegment segment, IovaRange within, Runnable free) {
    long bytes = wholePages(segment.byteSize());
    long iova = iovas.allocate(bytes, within);
    return mapAt(device, owner, segment, iova, free);
  }

  /** Maps memory at an IOVA that is taken already, and gives it back if that fails. */
  private DmaBuffer mapAt(
      PciDevice device, OpenParts owner, MemorySegment segment, long iova, Runnable free) {
    long bytes = wholePages(segment.byteSize());
    int flags =
        segment.isReadOnly()
            ? VfioConstants.VFIO_DMA_MAP_FLAG_READ
            : VfioConstants.VFIO_DMA_MAP_FLAG_READ | VfioConstants.VFIO_DMA_MAP_FLAG_WRITE;
    try {
      container.map(segment.address(), iova, bytes, flags);
    } catch (RuntimeException e) {
      iovas.free(iova);
      throw e instanceof VfioException refusal
          ? diagnosis.notMapped(refusal, device.address(), iova, bytes, windows())
          : e;
    }
    DmaBuffer buffer = new DmaBuffer(this, owner, segment, iova, bytes, free);
    return owner.add(buffer, buffer::close);
  }

  /** The same at an IOVA that the caller chose. */
  DmaBuffer map(PciDevice device, OpenParts owner, MemorySegment segment, long iova) {
    iovas.take(iova, wholePages(segment.byteSize()));
    return mapAt(device, owner, segment, iova, () -> {});
  }

  /** Takes memory from the devices; keeps what {@code free} frees if the kernel will not. */
  void unmap(long iova, long bytes, Runnable free) {
    if (!container.descriptor().isOpen()) {
      return;
    }
    try {
      container.unmap(iova, bytes, 0);
    } catch (RuntimeException e) {
      synchronized (this) {
        kept.add(free);
      }
      throw e;
    }
    iovas.free(iova);
  }

  /** A number of bytes, rounded up to whole pages. */
  long wholePages(long bytes) {
    return Math.addExact(bytes, pageSize - 1) & -pageSize;
  }

  /** Takes a device out, which is closed. */
  void forget(PciDevice device) {
    devices.forget(device);
  }

  SystemCalls calls() {
    return calls;
  }

  private DeviceCalls device(Group group, String name) {
    try {
      return group.calls.device(name);
    } catch (VfioException e) {
      throw diagnosis.notGiven(e, group.id, name);
    }
  }

  private Group join(int id, String name) {
    Group group = groups.get(id);
    if (group == null) {
      group = attach(id, name);
      groups.put(id, group);
    }
    group.devices++;
    return group;
  }

  private Group attach(int id, String name) {
    GroupCalls opened;
    try {
      opened = GroupCalls.open(calls, id);
    } catch (VfioException e) {
      throw diagnosis.unopened(e, id, name);
    }
    Group group = new Group(id, opened);
    try {
      if (!opened.viable()) {
        throw diagnosis.notViable(id, name);
      }
      setContainer(group, name);
      return group;
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  private void setContainer(Group group, String name) {
    try {
      group.calls.setContainer(container);
      if (groups.isEmpty()) {
        container.setIommu(VfioConstants.VFIO_TYPE1v2_IOMMU);
      }
    } catch (VfioException e) {
      throw diagnosis.notAttached(e, group.id, name);
    }
    learn();
  }

  /** Asks what can be mapped now. */
  private void learn() {
    Vfio.IommuInfo info = container.info();
    pageSize = Long.lowestOneBit(info.pageSizes());
    iovas.allow(
        info.capabilities().stream()
            .filter(Vfio.Capability.Ranges.class::isInstance)
            .map(Vfio.Capability.Ranges.class::cast)
            .findFirst()
            .map(Vfio.Capability.Ranges::ranges)
            .orElse(List.of()));
  }

  /** One device of the group is closed. */
  private synchronized void leave(Group group) {
    group.devices--;
    if (group.devices == 0) {
      groups.remove(group.id);
      OpenParts.inOrder(
          List.of(
              group.calls::unsetContainer,
              group.calls::close,
              () -> {
                if (groups.isEmpty()) {
                  iovas.allow(List.of());
                } else {
                  learn();
                }
              }));
    }
  }

  private synchronized void freeKept() {
    OpenParts.inOrder(kept);
    kept.clear();
  }

  /** A group of the space. */
  private static final class Group {
    final int id;
    final GroupCalls calls;
    int devices;

    Group(int id, GroupCalls calls) {
      this.id = id;
      this.calls = calls;
    }
  }
}
