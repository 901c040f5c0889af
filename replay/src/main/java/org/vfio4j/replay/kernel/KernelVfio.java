// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.DirtyBits;
import org.vfio4j.linux.uapi.InfoChain;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.linux.uapi.KernelRefusal;
import org.vfio4j.linux.uapi.Layouts;
import org.vfio4j.linux.uapi.Struct;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.Vfio;

/**
 * Back end {@code kernel} of the user API: each method is its system call, with the numbers the
 * caller gave. Nothing is checked here that the kernel checks. Calls are made on the calling
 * thread, whose capabilities count. Not thread-safe.
 *
 * <p>Only descriptors that were opened through it can be closed through it, as in a process that
 * has no others: those of the virtual machine have reused numbers before.
 */
public final class KernelVfio implements Vfio, AutoCloseable {
  private static final DeviceLinks LINKS = DeviceLinks.ofThisMachine("pci", "mdev");
  private static final String CONTAINER = "/dev/vfio/vfio";

  /** Room for the structs that say their own size; the kernel writes no more than it has to say. */
  private static final int LEAST_ROOM = 512;

  private static final int MOST_ROOM = 1 << 20;
  private static final int EBADF = Errno.EBADF.number();
  private static final int ENOENT = Errno.ENOENT.number();

  private final SystemCalls calls;
  private final DeviceLinks links;
  private final TreeSet<Integer> open = new TreeSet<>();

  /** With no descriptor open. */
  public KernelVfio(SystemCalls calls) {
    this(calls, LINKS);
  }

  /**
   * The same.
   *
   * @param links where the groups of devices are found
   */
  public KernelVfio(SystemCalls calls, DeviceLinks links) {
    this.calls = calls;
    this.links = links;
  }

  /** What this machine lacks to run VFIO, and what to do about it, in one sentence; or nothing. */
  public static Optional<String> missing() {
    if (!Files.exists(Path.of(CONTAINER))) {
      return Optional.of(
          CONTAINER + " is missing: load the modules with 'modprobe vfio-pci' (Linux with VFIO)");
    }
    try (var groups = Files.list(Path.of("/sys/kernel/iommu_groups"))) {
      if (groups.findAny().isPresent()) {
        return Optional.empty();
      }
    } catch (IOException e) {
      // Without the folder there is no group either.
    }
    return Optional.of(
        "this machine has no IOMMU groups: enable VT-d or AMD-Vi in firmware and boot with"
            + " intel_iommu=on (AMD: amd_iommu is on by itself)");
  }

  /** Descriptors that are open, ascending. */
  public List<Integer> descriptors() {
    return List.copyOf(open);
  }

  /** Closes every descriptor in order, as the exit of a process does. */
  @Override
  public void close() {
    descriptors().forEach(this::close);
  }

  /** The group's number of a PCI address or an mdev's UUID, as sysfs has it. */
  public static Optional<Integer> groupOf(String device) {
    return LINKS.group(device).stream().boxed().findFirst();
  }

  @Override
  public int container() {
    return open(CONTAINER);
  }

  @Override
  public int group(String device) {
    int group =
        links
            .group(device)
            .orElseThrow(() -> KernelRefusal.of(ENOENT, "open", "group of " + device));
    return open("/dev/vfio/" + group);
  }

  @Override
  public int open(String path) {
    try (Arena arena = Arena.ofConfined()) {
      int fd;
      do {
        fd = calls.open(arena.allocateFrom(path), Constants.O_RDWR | Constants.O_CLOEXEC, 0);
      } while (fd == -ErrnoNames.EINTR);
      KernelRefusal.check(fd, "open", path);
      open.add(fd);
      return fd;
    }
  }

  @Override
  public void close(int fd) {
    int result = open.remove(fd) ? calls.close(fd) : -EBADF;
    KernelRefusal.check(result, "close", "descriptor " + fd);
  }

  private int raw(int fd, int request, long argument) {
    int result;
    do {
      result = calls.ioctl(fd, request, argument);
    } while (result == -ErrnoNames.EINTR);
    return result;
  }

  private int call(String name, int fd, int request, long argument) {
    return KernelRefusal.check(raw(fd, request, argument), name, "descriptor " + fd);
  }

  private int call(String name, int fd, int request, Struct argument) {
    return call(name, fd, request, argument.memory().address());
  }

  @Override
  public int apiVersion(int fd) {
    return call("VFIO_GET_API_VERSION", fd, Ioctls.VFIO_GET_API_VERSION, 0);
  }

  @Override
  public int checkExtension(int fd, int extension) {
    return call("VFIO_CHECK_EXTENSION", fd, Ioctls.VFIO_CHECK_EXTENSION, extension);
  }

  @Override
  public void setIommu(int fd, int type) {
    call("VFIO_SET_IOMMU", fd, Ioctls.VFIO_SET_IOMMU, type);
  }

  @Override
  public int groupStatus(int fd, int argsz) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_GROUP_STATUS).u32("argsz", argsz);
      call("VFIO_GROUP_GET_STATUS", fd, Ioctls.VFIO_GROUP_GET_STATUS, s);
      return s.u32("flags");
    }
  }

  @Override
  public void setContainer(int groupFd, int containerFd) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment number = arena.allocateFrom(ValueLayout.JAVA_INT, containerFd);
      call("VFIO_GROUP_SET_CONTAINER", groupFd, Ioctls.VFIO_GROUP_SET_CONTAINER, number.address());
    }
  }

  @Override
  public void unsetContainer(int groupFd) {
    call("VFIO_GROUP_UNSET_CONTAINER", groupFd, Ioctls.VFIO_GROUP_UNSET_CONTAINER, 0);
  }

  @Override
  public int deviceFd(int groupFd, Optional<String> name) {
    try (Arena arena = Arena.ofConfined()) {
      long address = name.map(n -> arena.allocateFrom(n).address()).orElse(0L);
      int fd = call("VFIO_GROUP_GET_DEVICE_FD", groupFd, Ioctls.VFIO_GROUP_GET_DEVICE_FD, address);
      open.add(fd);
      return fd;
    }
  }

  @Override
  public void map(int containerFd, MapRequest r) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_IOMMU_TYPE1_DMA_MAP);
      s.u32("argsz", r.argsz()).u32("flags", r.flags());
      s.u64("vaddr", r.vaddr()).u64("iova", r.iova()).u64("size", r.size());
      call("VFIO_IOMMU_MAP_DMA", containerFd, Ioctls.VFIO_IOMMU_MAP_DMA, s);
    }
  }

  @Override
  public long unmap(int containerFd, UnmapRequest r) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s =
          Struct.of(arena, Layouts.VFIO_IOMMU_TYPE1_DMA_UNMAP, Layouts.VFIO_BITMAP.byteSize());
      s.u32("argsz", r.argsz()).u32("flags", r.flags());
      s.u64("iova", r.iova()).u64("size", r.size());
      Optional<MemorySegment> bits = r.bitmap().map(b -> DirtyBits.allocate(arena, b));
      if (bits.isPresent()) {
        Struct tail = s.at(s.layout().byteSize(), Layouts.VFIO_BITMAP);
        DirtyBits.describe(tail, r.bitmap().orElseThrow(), bits.get());
      }
      call("VFIO_IOMMU_UNMAP_DMA", containerFd, Ioctls.VFIO_IOMMU_UNMAP_DMA, s);
      bits.ifPresent(b -> DirtyBits.copy(b, r.bitmap().orElseThrow()));
      return s.u64("size");
    }
  }

  @Override
  public IommuInfo info(int containerFd, int argsz) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(Math.clamp(argsz, LEAST_ROOM, MOST_ROOM), 8);
      Struct s = new Struct(Layouts.VFIO_IOMMU_TYPE1_INFO, memory).u32("argsz", argsz);
      call("VFIO_IOMMU_GET_INFO", containerFd, Ioctls.VFIO_IOMMU_GET_INFO, s);
      return InfoChain.iommuInfo(memory);
    }
  }

  @Override
  public void dirtyPages(int containerFd, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP);
      s.u32("argsz", s.size()).u32("flags", flags);
      call("VFIO_IOMMU_DIRTY_PAGES", containerFd, Ioctls.VFIO_IOMMU_DIRTY_PAGES, s);
    }
  }

  @Override
  public void dirtyBitmap(int containerFd, BitmapRequest request) {
    try (Arena arena = Arena.ofConfined()) {
      long more = Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET.byteSize();
      Struct s = Struct.of(arena, Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP, more);
      s.u32("argsz", s.size()).u32("flags", VfioConstants.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
      MemorySegment bits = DirtyBits.allocate(arena, request.bitmap());
      DirtyBits.describe(s, request, bits);
      call("VFIO_IOMMU_DIRTY_PAGES", containerFd, Ioctls.VFIO_IOMMU_DIRTY_PAGES, s);
      DirtyBits.copy(bits, request.bitmap());
    }
  }

  @Override
  public int ioctl(int fd, int number, long argument) {
    return call("ioctl", fd, number, argument);
  }

  @Override
  public DeviceInfo deviceInfo(int deviceFd) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_DEVICE_INFO);
      s.u32("argsz", s.size());
      call("VFIO_DEVICE_GET_INFO", deviceFd, Ioctls.VFIO_DEVICE_GET_INFO, s);
      return new DeviceInfo(s.u32("flags"), s.u32("num_regions"), s.u32("num_irqs"));
    }
  }

  @Override
  public void reset(int deviceFd) {
    call("VFIO_DEVICE_RESET", deviceFd, Ioctls.VFIO_DEVICE_RESET, 0);
  }

  @Override
  public List<Dependent> hotResetInfo(int deviceFd) {
    int request = Ioctls.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
    return DeviceCalls.hotResetInfo(
        address -> raw(deviceFd, request, address), "descriptor " + deviceFd);
  }

  @Override
  public int readConfig(int deviceFd) {
    long at = region(deviceFd, VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX);
    return peek(deviceFd, at);
  }

  /** Where a region begins in the device's descriptor. */
  long region(int deviceFd, int index) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_REGION_INFO).u32("index", index);
      s.u32("argsz", s.size());
      call("VFIO_DEVICE_GET_REGION_INFO", deviceFd, Ioctls.VFIO_DEVICE_GET_REGION_INFO, s);
      return s.u64("offset");
    }
  }

  /** Four bytes of a device's descriptor. */
  int peek(int deviceFd, long at) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment four = arena.allocate(ValueLayout.JAVA_INT);
      KernelRefusal.check(
          calls.pread(deviceFd, four, Integer.BYTES, at), "pread", "descriptor " + deviceFd);
      return four.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Writes four bytes of a device's descriptor. */
  void poke(int deviceFd, long at, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment four = arena.allocateFrom(ValueLayout.JAVA_INT, value);
      KernelRefusal.check(
          calls.pwrite(deviceFd, four, Integer.BYTES, at), "pwrite", "descriptor " + deviceFd);
    }
  }
}
