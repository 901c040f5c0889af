// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import static org.vfio4j.linux.uapi.Ioctls.VFIO_CHECK_EXTENSION;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_DEVICE_GET_INFO;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_DEVICE_GET_IRQ_INFO;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_DEVICE_GET_REGION_INFO;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_DEVICE_RESET;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_DEVICE_SET_IRQS;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_GET_API_VERSION;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_GROUP_GET_DEVICE_FD;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_GROUP_GET_STATUS;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_GROUP_SET_CONTAINER;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_GROUP_UNSET_CONTAINER;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_IOMMU_DIRTY_PAGES;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_IOMMU_GET_INFO;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_IOMMU_MAP_DMA;
import static org.vfio4j.linux.uapi.Ioctls.VFIO_IOMMU_UNMAP_DMA;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.linux.uapi.Layouts;
import org.vfio4j.linux.uapi.Struct;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.WatchedSystemCalls;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;

/**
 * A kernel with VFIO where there is none: the system calls of one process on a machine in software.
 * Calls on {@code /dev/vfio} and what is opened through it are taken apart and answered by the user
 * API of a {@link SoftMachine}, which gives the errno of the kernel of its profile; all else goes
 * to the host's kernel.
 *
 * <p>Descriptors are real numbers of the host, each of a file that stands in for VFIO's, so that
 * the lowest free number is given and recycled as Linux does it, duplicates share what they refer
 * to, and a mapped BAR keeps the device open until {@code munmap(2)}. Memory that the process got
 * by {@code mmap(2)} can be pinned; RLIMIT_MEMLOCK is kept here. Thread-safe.
 */
public final class FakeKernel extends WatchedSystemCalls {
  private static final int ENOTTY = 25;
  private static final int NAME_MAX = 256;
  private static final String VFIO = "/dev/vfio/";

  private enum Kind {
    CONTAINER,
    GROUP,
    DEVICE
  }

  /** An open file: descriptors and mappings share it. */
  private static final class File {
    final Kind kind;
    final int number;
    final int group;
    final Optional<FakeDevice> device;
    int references = 1;

    File(Kind kind, int number, int group, Optional<FakeDevice> device) {
      this.kind = kind;
      this.number = number;
      this.group = group;
      this.device = device;
    }
  }

  private final SystemCalls host;
  private final SoftVfio vfio;
  private final FakeIoctls ioctls;
  private final FakeMemory memory;
  private final Map<Integer, File> files = new HashMap<>();
  private final TreeMap<Long, File> mapped = new TreeMap<>();
  private long memlock = -1;
  private long memlockMost = -1;

  /** A process on the machine. */
  public FakeKernel(SoftMachine machine) {
    this(machine.process("fake"));
  }

  /** The kernel as this process sees it. */
  public FakeKernel(SoftVfio process) {
    this(process, SystemCalls.libc());
  }

  private FakeKernel(SoftVfio process, SystemCalls host) {
    super(host);
    this.host = host;
    vfio = process;
    ioctls = new FakeIoctls(vfio);
    memory = new FakeMemory(vfio.memory());
  }

  /** The process: its account, its capabilities, and what it has open in the machine. */
  public SoftVfio process() {
    return vfio;
  }

  /** How many containers, groups and devices the process has open: descriptors and mapped BARs. */
  public synchronized int open() {
    return files.size() + mapped.size();
  }

  /**
   * A device interrupts, for whoever has it open.
   *
   * @param name as GET_DEVICE_FD had it
   * @param index {@code VFIO_PCI_MSI_IRQ_INDEX} and so on
   */
  public void interrupt(String name, int index, int vector) {
    List<FakeDevice> devices;
    synchronized (this) {
      devices = files.values().stream().distinct().flatMap(f -> f.device.stream()).toList();
    }
    devices.stream().filter(d -> d.is(name)).forEach(d -> d.signal(index, vector, 1));
  }

  /**
   * The port through which an open device does its DMA. EBADF where nothing of the kernel's is
   * open.
   */
  public DmaPort dma(int fd) {
    return vfio.dma(file(fd).map(f -> f.number).orElse(-1));
  }

  private synchronized Optional<File> file(int fd) {
    return Optional.ofNullable(files.get(fd));
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    String name = path.getString(0);
    if (!name.startsWith(VFIO)) {
      return host.open(path, flags, mode);
    }
    return answer(
        () -> {
          int number = vfio.open(name);
          boolean container = name.equals(VFIO + "vfio");
          int group = container ? -1 : Integer.parseInt(name.replaceFirst(".*\\D", ""));
          Kind kind = container ? Kind.CONTAINER : Kind.GROUP;
          return added(standIn(name), new File(kind, number, group, Optional.empty()));
        });
  }

  private int standIn(String name) {
    try (Arena arena = Arena.ofConfined()) {
      return host.memfdCreate(arena.allocateFrom("fake " + name), Constants.MFD_CLOEXEC);
    }
  }

  private int added(int fd, File file) {
    if (fd < 0) {
      vfio.close(file.number);
      return fd;
    }
    synchronized (this) {
      files.put(fd, file);
    }
    return fd;
  }

  @Override
  public int close(int fd) {
    File closed;
    synchronized (this) {
      closed = files.remove(fd);
    }
    letGo(closed);
    return host.close(fd);
  }

  private void letGo(@Nullable File file) {
    boolean last = false;
    synchronized (this) {
      if (file != null) {
        last = --file.references == 0;
      }
    }
    if (file != null && last) {
      file.device.ifPresent(FakeDevice::close);
      vfio.close(file.number);
    }
  }

  /** A call of the machine. */
  @FunctionalInterface
  private interface Call {
    int make();
  }

  private static int answer(Call call) {
    try {
      return call.make();
    } catch (VfioException refused) {
      return -refused.errno().number();
    }
  }

  private static int done(Runnable call) {
    call.run();
    return 0;
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    Optional<File> file = file(fd);
    return file.isEmpty()
        ? host.ioctl(fd, request, argument)
        : answer(() -> ioctl(file.get(), request, argument));
  }

  private int ioctl(File file, int request, long argument) {
    if (pointer(request) && argument == 0 && request != VFIO_GROUP_GET_DEVICE_FD) {
      // The machine knows which of its files refuse before they look at a pointer.
      return vfio.ioctl(file.number, request, argument);
    }
    int fd = file.number;
    boolean device = file.kind == Kind.DEVICE;
    return switch (request) {
      case VFIO_GROUP_GET_STATUS -> ioctls.groupStatus(fd, argument);
      case VFIO_GROUP_SET_CONTAINER -> setContainer(fd, argument);
      case VFIO_GROUP_GET_DEVICE_FD -> openDevice(fd, file.group, argument);
      case VFIO_DEVICE_GET_INFO -> ioctls.deviceInfo(fd, argument);
      case VFIO_IOMMU_GET_INFO ->
          device ? ioctls.hotResetInfo(fd, argument) : ioctls.info(fd, argument);
      case VFIO_IOMMU_MAP_DMA -> device ? hotReset(fd, argument) : ioctls.map(fd, argument);
      case VFIO_IOMMU_UNMAP_DMA -> device ? -ENOTTY : ioctls.unmap(fd, argument);
      case VFIO_IOMMU_DIRTY_PAGES -> device ? -ENOTTY : ioctls.dirtyPages(fd, argument);
      default ->
          file.device.isPresent() && pointer(request)
              ? ofDevice(file.device.get(), request, argument)
              : vfio.ioctl(fd, request, argument);
    };
  }

  /** Whether the argument of a request is an address. */
  private static boolean pointer(int request) {
    return request != VFIO_GET_API_VERSION
        && request != VFIO_CHECK_EXTENSION
        && request >= VFIO_GROUP_GET_STATUS
        && request <= VFIO_IOMMU_DIRTY_PAGES
        && request != VFIO_GROUP_UNSET_CONTAINER
        && request != VFIO_DEVICE_RESET;
  }

  private static int ofDevice(FakeDevice device, int request, long argument) {
    return switch (request) {
      case VFIO_DEVICE_GET_REGION_INFO ->
          device.regionInfo(
              new Struct(
                  Layouts.VFIO_REGION_INFO,
                  FakeIoctls.at(argument, Layouts.VFIO_REGION_INFO.byteSize())));
      case VFIO_DEVICE_GET_IRQ_INFO ->
          device.irqInfo(
              new Struct(
                  Layouts.VFIO_IRQ_INFO,
                  FakeIoctls.at(argument, Layouts.VFIO_IRQ_INFO.byteSize())));
      case VFIO_DEVICE_SET_IRQS -> {
        int argsz = FakeIoctls.at(argument, 4).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
        yield device.setIrqs(FakeDevice.irqSet(FakeIoctls.at(argument, Math.max(argsz, 20))));
      }
      default -> -ENOTTY;
    };
  }

  private int setContainer(int group, long argument) {
    int fd = FakeIoctls.at(argument, 4).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
    Optional<File> container = file(fd);
    boolean other = container.isEmpty() && fd >= 0 && host.fcntl(fd, Constants.F_GETFL, 0) >= 0;
    if (other) {
      // Whatever else the process has open is no container, as a group is none.
      return done(() -> vfio.setContainer(group, group));
    }
    // 5.10 refuses a negative number before it looks whether a file has it.
    int none = fd < 0 ? fd : Integer.MAX_VALUE;
    return done(() -> vfio.setContainer(group, container.map(c -> c.number).orElse(none)));
  }

  private int openDevice(int group, int groupNumber, long argument) {
    Optional<String> name =
        argument == 0
            ? Optional.empty()
            : Optional.of(FakeIoctls.at(argument, NAME_MAX).getString(0));
    int number = vfio.deviceFd(group, name);
    int fd = FakeDevice.file(host, vfio.readConfig(number));
    FakeDevice device = new FakeDevice(host, name.orElseThrow());
    return added(fd, new File(Kind.DEVICE, number, groupNumber, Optional.of(device)));
  }

  private int hotReset(int fd, long argument) {
    Struct s =
        new Struct(
            Layouts.VFIO_PCI_HOT_RESET,
            FakeIoctls.at(argument, Layouts.VFIO_PCI_HOT_RESET.byteSize()));
    int count = s.u32("count");
    if (Integer.compareUnsigned(s.u32("argsz"), 12) < 0 || s.u32("flags") != 0 || count < 0) {
      return -ErrnoNames.EINVAL;
    }
    List<Integer> groups = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int group = FakeIoctls.at(argument + 12 + 4L * i, 4).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
      Optional<File> file = file(group).filter(f -> f.kind == Kind.GROUP);
      if (file.isEmpty()) {
        return -ErrnoNames.EINVAL;
      }
      groups.add(file.get().group);
    }
    return ioctls.hotReset(fd, groups);
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    long result = host.mmap(address, length, protection, flags, fd, offset);
    if (result < 0) {
      return result;
    }
    synchronized (this) {
      File file = fd < 0 ? null : files.get(fd);
      if (file == null) {
        memory.mapped(result, length, protection);
      } else {
        file.references++;
        mapped.put(result, file);
      }
    }
    return result;
  }

  @Override
  public int munmap(long address, long length) {
    File file;
    synchronized (this) {
      file = mapped.remove(address);
      if (file == null) {
        memory.unmapped(address, length);
      }
    }
    letGo(file);
    return host.munmap(address, length);
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    int result = host.fcntl(fd, command, argument);
    if (command == Constants.F_DUPFD_CLOEXEC && result >= 0) {
      synchronized (this) {
        File file = files.get(fd);
        if (file != null) {
          file.references++;
          files.put(result, file);
        }
      }
    }
    return result;
  }

  /** RLIMIT_MEMLOCK is the process's on the machine; other limits are the host's. */
  @Override
  public synchronized int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    if (resource != Constants.RLIMIT_MEMLOCK) {
      return host.prlimit(resource, newLimit, oldLimit);
    }
    if (oldLimit.address() != 0) {
      oldLimit.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, memlock);
      oldLimit.set(ValueLayout.JAVA_LONG_UNALIGNED, 8, memlockMost);
    }
    if (newLimit.address() != 0) {
      memlock = newLimit.get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
      memlockMost = newLimit.get(ValueLayout.JAVA_LONG_UNALIGNED, 8);
      vfio.memory().limit(memlock < 0 ? Long.MAX_VALUE : memlock);
    }
    return 0;
  }
}
