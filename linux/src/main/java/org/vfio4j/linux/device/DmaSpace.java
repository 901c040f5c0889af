// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.iommu.ProcessMemory;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * An address space that several devices share: a {@link Container} of type1v2 on this machine's
 * IOMMU. What one of them allocates, all of them reach at the same IOVA. Devices of one IOMMU group
 * must share one; a device that stands alone needs none of its own ({@link PciDevice#open(String)}
 * makes one).
 *
 * <p>Each device is one user of its group in the container: the first attaches the group, every
 * further one costs no call of the IOMMU, and the group goes with the last. So a driver here and
 * whoever else uses the container, such as the VM that has another function of the group, share the
 * group; another address space of this process is refused it with EBUSY and the name of this one.
 *
 * <p>Closing the space closes its devices, the youngest first. Thread-safe.
 */
public final class DmaSpace implements AutoCloseable {
  private static final AtomicInteger CREATED = new AtomicInteger();

  private final LinuxIommu iommu;
  private final Diagnosis diagnosis;
  private final Container container;
  private final boolean own;
  private final AddressSpace memory = ProcessMemory.create();
  private final IovaAllocator iovas = new IovaAllocator();
  private final OpenParts devices = new OpenParts("the DMA space");

  /** Memory whose mapping the kernel would not remove: freed when the container is gone. */
  private final List<Runnable> kept = new ArrayList<>();

  private int users;

  private volatile long pageSize = 4096;

  private DmaSpace(LinuxIommu iommu, Diagnosis diagnosis, Container container, boolean own) {
    this.iommu = iommu;
    this.diagnosis = diagnosis;
    this.container = container;
    this.own = own;
  }

  /**
   * A new space without devices, on the IOMMU that all of this process shares.
   *
   * @throws VfioException ENOENT if the kernel has no VFIO, EACCES for a user who may not
   */
  public static DmaSpace create() {
    return create(LinuxIommu.ofThisProcess());
  }

  /**
   * A new space without devices.
   *
   * @param iommu whose groups the space can have: one that others of this process use too, since
   *     the kernel gives a group to one opener
   * @throws VfioException ENOENT if the kernel has no VFIO, EACCES for a user who may not
   */
  public static DmaSpace create(LinuxIommu iommu) {
    return create(iommu, Kernels.running(), Path.of("/proc"));
  }

  static DmaSpace create(LinuxIommu iommu, KernelProfile profile, Path proc) {
    Diagnosis diagnosis = new Diagnosis(iommu.sysfs(), proc, iommu.calls());
    try {
      // Nothing needs a container of the kernel before the first device: it is opened to be told.
      ContainerCalls.open(iommu.calls()).close();
    } catch (SystemCallException e) {
      throw diagnosis.noVfio(e);
    }
    Type1Parameters parameters = new Type1Parameters();
    iommu.sysfs().entryLimit().ifPresent(parameters::entryLimit);
    String name = "DMA space " + CREATED.incrementAndGet();
    Container container = new Container(name, iommu, profile, Type1.V2, parameters);
    return new DmaSpace(iommu, diagnosis, container, true);
  }

  /**
   * A space without devices in somebody's container, such as a VM's: its devices reach what is
   * mapped there, and whatever else is in the container reaches what they map.
   *
   * @param iommu the one below the container
   * @param container stays its owner's. It is not closed with the space, and must not be closed
   *     before. Memory whose mapping the kernel would not remove stays for good, since nobody is
   *     told when the container is gone
   */
  public static DmaSpace in(Container container, LinuxIommu iommu) {
    Diagnosis diagnosis = new Diagnosis(iommu.sysfs(), Path.of("/proc"), iommu.calls());
    return new DmaSpace(iommu, diagnosis, container, false);
  }

  /**
   * Opens a device in this space. Its group is attached, if this is the group's first user here.
   *
   * @param address as in {@code 0000:00:02.0}; domain 0 may be left out
   * @throws VfioException ENODEV or ENOENT if there is no such device or VFIO does not offer it
   *     (the message tells its driver), EBUSY if somebody has the group (the message tells who, if
   *     this user may know), EPERM if the group is not viable (the message tells its members and
   *     their drivers; EINVAL on 5.10) or interrupts are not isolated, EINVAL if a mapping of this
   *     space lies where the group cannot have it
   * @throws IllegalArgumentException if that is no PCI address
   */
  public PciDevice open(String address) {
    return open(address, () -> {});
  }

  /** Opens a device that also ends {@code after} itself. */
  synchronized PciDevice open(String address, Runnable after) {
    devices.check();
    String name = PciDevice.fullAddress(address);
    if (iommu.sysfs().device(name).isEmpty()) {
      throw diagnosis.noDevice(name);
    }
    int id = iommu.sysfs().groupOf(name).orElseThrow(() -> diagnosis.noGroup(name));
    IommuGroup user = attach(id, name);
    PciDevice opened;
    try {
      opened = opened(user, id, name, after);
    } catch (RuntimeException e) {
      leave(user);
      throw e;
    }
    return devices.add(opened, opened::close);
  }

  private IommuGroup attach(int id, String name) {
    IommuGroup user = iommu.user(name);
    try {
      container.attach(user);
    } catch (VfioException e) {
      throw diagnosis.notAttached(e, id, name);
    }
    users++;
    return user;
  }

  private PciDevice opened(IommuGroup user, int id, String name, Runnable after) {
    DeviceCalls device = device(id, name);
    try {
      learn();
      return new PciDevice(this, device, name, () -> leave(user), after);
    } catch (RuntimeException e) {
      device.close();
      throw e;
    }
  }

  private DeviceCalls device(int id, String name) {
    try {
      return iommu.openDevice(name);
    } catch (VfioException e) {
      throw diagnosis.notGiven(e, id, name);
    }
  }

  /** The container that the devices are in, for others who are to share it. */
  public Container container() {
    return container;
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
      OpenParts.inOrder(
          own
              ? List.of(devices::close, container::close, this::freeKept)
              : List.of(devices::close));
    }
  }

  /** Maps memory of {@code bytes} at the first IOVA that fits. */
  DmaBuffer map(
      PciDevice device, OpenParts owner, MemorySegment segment, IovaRange within, Runnable free) {
    return mapAt(device, owner, segment, place(wholePages(segment.byteSize()), within), free);
  }

  /** Whoever else is in the container attaches and maps too: then it is asked what is free. */
  private long place(long bytes, IovaRange within) {
    if (own && container.mappings() == iovas.size()) {
      return iovas.allocate(bytes, within);
    }
    synchronized (iovas) {
      learn();
      iovas.avoid(container.mapped());
      return iovas.allocate(bytes, within);
    }
  }

  /** Maps memory at an IOVA that is taken already, and gives it back if that fails. */
  private DmaBuffer mapAt(
      PciDevice device, OpenParts owner, MemorySegment segment, long iova, Runnable free) {
    long bytes = wholePages(segment.byteSize());
    int flags =
        segment.isReadOnly() ? Container.MAP_READ : Container.MAP_READ | Container.MAP_WRITE;
    try {
      container.map(memory, segment.address(), iova, bytes, flags);
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
    try {
      container.unmap(memory, iova, bytes);
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
    return iommu.calls();
  }

  /** Asks what can be mapped now. */
  private void learn() {
    Container.Info info = container.info();
    pageSize = Long.lowestOneBit(info.pageSizes());
    iovas.allow(info.ranges().isEmpty() ? List.of(IovaRange.ALL) : info.ranges());
  }

  /** A device is closed, or was not had. */
  private synchronized void leave(IommuGroup user) {
    container.detach(user);
    users--;
    if (users == 0) {
      iovas.allow(List.of());
    } else {
      learn();
    }
  }

  /** The container is closed, and nothing of it is mapped any more. */
  private synchronized void freeKept() {
    OpenParts.inOrder(kept);
    kept.clear();
  }
}
