// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.unwind.Attempt;

/**
 * The user API on the engine: one process on a {@link Machine}, whatever that is made of. Its
 * descriptors are its own numbers.
 */
public class EngineVfio implements Vfio, AutoCloseable {
  private static final int PAGE_SIZE = 4096;

  private final String name;
  private final Machine machine;
  private final VfioCore core;
  private final AddressSpace memory;
  private final Descriptors files = new Descriptors();
  private int containers;
  private boolean rawIo = true;

  /**
   * A process with no descriptor open.
   *
   * @param name for error messages
   * @param machine what it runs on; its monitor is taken for every call
   * @param memory the process's memory
   */
  public EngineVfio(String name, Machine machine, AddressSpace memory) {
    this.name = name;
    this.machine = machine;
    this.core = machine.core();
    this.memory = memory;
  }

  /** The process's memory, its limit and its capability. */
  public AddressSpace memory() {
    return memory;
  }

  /**
   * Gives the process CAP_SYS_RAWIO, or takes it away: who uses a device without an IOMMU needs it.
   * It has, at first.
   */
  public void rawIo(boolean on) {
    synchronized (machine) {
      rawIo = on;
    }
  }

  /** Open descriptors. */
  public int descriptors() {
    synchronized (machine) {
      return files.numbers().size();
    }
  }

  /**
   * Closes every descriptor in order, as the exit of a process does. One that fails does not keep
   * the others: what the first threw is thrown at the end, with what followed as suppressed.
   */
  @Override
  public final void close() {
    List<RuntimeException> failed = new ArrayList<>();
    synchronized (machine) {
      for (int fd : files.numbers()) {
        try {
          close(fd);
        } catch (RuntimeException e) {
          failed.add(e);
        }
      }
    }
    if (!failed.isEmpty()) {
      RuntimeException first = failed.getFirst();
      failed.subList(1, failed.size()).forEach(first::addSuppressed);
      throw first;
    }
  }

  @Override
  public int container() {
    return call(
        "open",
        () -> {
          String owner = containers++ == 0 ? name : name + "#" + containers;
          return files.allocate(new OpenFile.OfContainer(new VfioContainer(owner)));
        });
  }

  @Override
  public int group(String device) {
    return call(
        "open",
        () -> {
          Optional<VfioGroup> group = machine.groupOf(device).flatMap(this::offered);
          return openGroup(group.orElseThrow(() -> noGroup(device)));
        });
  }

  private VfioException noGroup(String device) {
    String why =
        machine.device(device).isEmpty()
            ? "there is no device " + device
            : "no member of the group of " + device + " has a VFIO driver";
    return new VfioException(Errno.ENOENT, Reason.NO_GROUP, why, device);
  }

  private Optional<VfioGroup> offered(IommuGroup group) {
    machine.refresh(group);
    return core.find(group);
  }

  private int openGroup(VfioGroup group) {
    Noiommu.checkPermitted(group, rawIo);
    core.checkClosed(group);
    machine.openGroup(group.group);
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> machine.closeGroup(group.group));
      int fd = files.allocate(new OpenFile.OfGroup(group));
      core.opened(group, name);
      attempt.keep();
      return fd;
    }
  }

  @Override
  public int open(String path) {
    return call(
        "open",
        () -> {
          if (path.equals("/dev/vfio/vfio")) {
            return container();
          }
          if (path.matches("/dev/vfio/(noiommu-)?[0-9]{1,9}")) {
            int id = Integer.parseInt(path.replaceFirst("^\\D+", ""));
            Optional<VfioGroup> group = machine.group(id).flatMap(this::offered);
            return openGroup(
                group.filter(g -> g.path().equals(path)).orElseThrow(() -> noFile(path)));
          }
          if (path.equals("/dev/null") || path.equals("/dev/zero")) {
            return files.allocate(new OpenFile.Other(path));
          }
          throw noFile(path);
        });
  }

  private static VfioException noFile(String path) {
    return new VfioException(Errno.ENOENT, Reason.NO_GROUP, "there is no " + path);
  }

  @Override
  public void close(int fd) {
    run(
        "close",
        () -> {
          switch (files.get(fd)) {
            case OpenFile.OfGroup(VfioGroup group) -> awaitJoined(group);
            case OpenFile.OfDevice(VfioGroup group, _, _) -> awaitJoined(group);
            case OpenFile.OfContainer _, OpenFile.Other _ -> {}
          }
          switch (files.remove(fd)) {
            case OpenFile.OfGroup(VfioGroup group) -> {
              group.fileOpen = false;
              leftBehind(group);
            }
            case OpenFile.OfDevice(VfioGroup group, _, DeviceFile device) -> {
              group.deviceFiles--;
              try {
                device.close();
              } finally {
                leftBehind(group);
              }
            }
            case OpenFile.OfContainer _, OpenFile.Other _ -> {}
          }
        });
  }

  /** One descriptor less refers to the group. */
  private void leftBehind(VfioGroup group) {
    core.closed(group);
    if (!group.opened()) {
      machine.closeGroup(group.group);
    }
    machine.letGo();
  }

  private VfioGroup groupFile(int fd) {
    VfioGroup group = files.group(fd);
    awaitJoined(group);
    machine.refresh(group.group);
    return group;
  }

  @Override
  public int apiVersion(int fd) {
    return call(
        "VFIO_GET_API_VERSION",
        () -> {
          files.container(fd);
          return 0;
        });
  }

  @Override
  public int checkExtension(int fd, int extension) {
    return call(
        "VFIO_CHECK_EXTENSION",
        () ->
            Extensions.check(extension, machine.profile(), core.parameters(), files.container(fd)));
  }

  @Override
  public void setIommu(int fd, int type) {
    run(
        "VFIO_SET_IOMMU",
        () -> {
          VfioContainer container = files.container(fd);
          List.copyOf(container.groups).forEach(g -> machine.refresh(g.group));
          core.setIommu(container, type, rawIo);
        });
  }

  @Override
  public int groupStatus(int fd, int argsz) {
    return call(
        "VFIO_GROUP_GET_STATUS",
        () -> {
          VfioGroup group = groupFile(fd);
          checkArgsz(argsz, 8);
          return core.status(group);
        });
  }

  @Override
  public void setContainer(int groupFd, int containerFd) {
    Join join = call("VFIO_GROUP_SET_CONTAINER", () -> join(groupFd, containerFd));
    join.driver.ifPresent(driver -> attach(join.group, driver));
  }

  /** A group on its way into a container, and the driver that it is to be attached to. */
  private record Join(VfioGroup group, Optional<IommuDriver> driver) {}

  private Join join(int groupFd, int containerFd) {
    VfioGroup group = groupFile(groupFd);
    if (containerFd < 0) {
      throw badDescriptor(machine.profile().badContainerFd(), containerFd);
    }
    if (!machine.profile().containerFdFirst()) {
      core.checkNoContainer(group);
      Noiommu.checkPermitted(group, rawIo);
    }
    OpenFile file = files.get(containerFd);
    core.checkNoContainer(group);
    core.checkAlive(group);
    if (!(file instanceof OpenFile.OfContainer(VfioContainer container))) {
      throw badDescriptor(machine.profile().foreignContainerFd(), containerFd);
    }
    Noiommu.checkPermitted(group, rawIo);
    return new Join(group, core.setContainer(group, container));
  }

  /**
   * The memory that the driver has mapped is mapped for the group too: other VMs go on meanwhile.
   */
  private void attach(VfioGroup group, IommuDriver driver) {
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> joined(group, false));
      inCall("VFIO_GROUP_SET_CONTAINER", () -> driver.attach(group.group));
      attempt.keep();
    }
    joined(group, true);
  }

  private void joined(VfioGroup group, boolean attached) {
    synchronized (machine) {
      core.joined(group, attached);
      machine.notifyAll();
      machine.letGo();
    }
  }

  /**
   * Waits, with the machine's lock left, for a SET_CONTAINER of another thread, of this group or of
   * one that is to share its container.
   */
  private void awaitJoined(VfioGroup group) {
    boolean interrupted = false;
    while (group.joining || group.container.filter(VfioContainer::joining).isPresent()) {
      try {
        machine.wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void unsetContainer(int groupFd) {
    run(
        "VFIO_GROUP_UNSET_CONTAINER",
        () -> {
          core.unsetContainer(groupFile(groupFd));
          machine.letGo();
        });
  }

  @Override
  public int deviceFd(int groupFd, Optional<String> deviceName) {
    return call(
        "VFIO_GROUP_GET_DEVICE_FD",
        () -> {
          VfioGroup group = groupFile(groupFd);
          String asked =
              deviceName.orElseThrow(
                  () -> new VfioException(Errno.EFAULT, Reason.BAD_ARGUMENT, "no name"));
          if (asked.length() >= PAGE_SIZE) {
            throw new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, "name too long");
          }
          if (machine.profile().deviceNameFirst()) {
            DeviceName.find(machine, group, asked);
          }
          checkUsable(group);
          Device device = DeviceName.find(machine, group, asked);
          return open(group, device, machine.openDevice(group.group, device, asked));
        });
  }

  private int open(VfioGroup group, Device device, DeviceFile opened) {
    try (Attempt attempt = new Attempt()) {
      attempt.undo(opened::close);
      int fd = files.allocate(new OpenFile.OfDevice(group, device, opened));
      attempt.keep();
      group.deviceFiles++;
      listen(group, device);
      return fd;
    }
  }

  private void checkUsable(VfioGroup group) {
    boolean live = group.container.flatMap(c -> c.iommu).isPresent();
    if (!live) {
      throw new VfioException(
          Errno.EINVAL, Reason.CONTAINER_STATE, "the group is in no container with an IOMMU");
    }
    if (!machine.profile().ownership() && !core.viable(group)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.GROUP_NOT_VIABLE,
          "a driver of the host uses a member of VFIO group " + group.group.id());
    }
    Noiommu.checkPermitted(group, rawIo);
  }

  /** The driver of a plain mediated device gives up its pins when what it pinned is unmapped. */
  private static void listen(VfioGroup group, Device device) {
    if (device instanceof MediatedDevice m && m.isolation() instanceof Isolation.Plain) {
      Container container = group.container.orElseThrow().iommu.orElseThrow().type1();
      container.onUnmap(group.group, (iova, size) -> container.unpinAll(group.group, iova, size));
    }
  }

  @Override
  public void map(int fd, MapRequest request) {
    Container container = call("VFIO_IOMMU_MAP_DMA", () -> type1(fd));
    inCall("VFIO_IOMMU_MAP_DMA", () -> DmaCalls.map(machine.profile(), container, memory, request));
  }

  @Override
  public long unmap(int fd, UnmapRequest request) {
    Container container = call("VFIO_IOMMU_UNMAP_DMA", () -> type1(fd));
    return inCall(
        "VFIO_IOMMU_UNMAP_DMA",
        () -> DmaCalls.unmap(machine.profile(), container, memory, request));
  }

  @Override
  public IommuInfo info(int fd, int argsz) {
    Container container = call("VFIO_IOMMU_GET_INFO", () -> type1(fd));
    return inCall("VFIO_IOMMU_GET_INFO", () -> DmaCalls.info(machine.profile(), container, argsz));
  }

  @Override
  public void dirtyPages(int fd, int flags) {
    Container container = call("VFIO_IOMMU_DIRTY_PAGES", () -> type1(fd));
    inCall(
        "VFIO_IOMMU_DIRTY_PAGES", () -> DmaCalls.dirtyPages(machine.profile(), container, flags));
  }

  @Override
  public void dirtyBitmap(int fd, BitmapRequest request) {
    Container container = call("VFIO_IOMMU_DIRTY_PAGES", () -> type1(fd));
    inCall(
        "VFIO_IOMMU_DIRTY_PAGES",
        () -> DmaCalls.dirtyBitmap(machine.profile(), container, request));
  }

  @Override
  public int ioctl(int fd, int number, long argument) {
    return switch (number) {
      case Ioctl.GET_API_VERSION -> apiVersion(fd);
      case Ioctl.CHECK_EXTENSION -> checkExtension(fd, (int) argument);
      case Ioctl.SET_IOMMU -> {
        setIommu(fd, (int) argument);
        yield 0;
      }
      case Ioctl.GROUP_UNSET_CONTAINER -> {
        unsetContainer(fd);
        yield 0;
      }
      case Ioctl.DEVICE_RESET -> {
        reset(fd);
        yield 0;
      }
      default -> call("ioctl", () -> unknownIoctl(fd, number));
    };
  }

  /** An ioctl whose argument is a pointer, or that nobody knows: an integer is no address. */
  private int unknownIoctl(int fd, int number) {
    switch (files.get(fd)) {
      case OpenFile.OfContainer(VfioContainer container) when container.iommu.isEmpty() ->
          throw Descriptors.noIommu();
      case OpenFile.OfContainer(VfioContainer container)
          when Ioctl.ofContainer(number) && !container.noiommu() ->
          throw badPointer(number);
      case OpenFile.OfGroup _ when Ioctl.ofGroup(number) -> throw badPointer(number);
      case OpenFile.OfDevice _ when Ioctl.ofDevice(number) -> throw badPointer(number);
      default -> throw Descriptors.unknownCall();
    }
  }

  @Override
  public DeviceInfo deviceInfo(int fd) {
    return call("VFIO_DEVICE_GET_INFO", () -> openDevice(fd).file().info());
  }

  @Override
  public void reset(int fd) {
    run("VFIO_DEVICE_RESET", () -> openDevice(fd).file().reset());
  }

  @Override
  public List<Dependent> hotResetInfo(int fd) {
    return call("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", () -> openDevice(fd).file().hotResetInfo());
  }

  @Override
  public int readConfig(int fd) {
    return call("pread", () -> openDevice(fd).file().readConfig());
  }

  private OpenFile.OfDevice openDevice(int fd) {
    return files.device(fd);
  }

  /** The open device behind a descriptor, for what lies above the user API. */
  public final DeviceFile deviceFile(int fd) {
    return device(fd).file();
  }

  /** The open device behind a descriptor, and where its group is now. */
  public final OpenDevice device(int fd) {
    return call(
        "device",
        () -> {
          OpenFile.OfDevice open = openDevice(fd);
          Optional<IommuDriver> driver = open.group().container.flatMap(c -> c.iommu);
          return new OpenDevice(
              open.device(),
              open.group().group,
              open.file(),
              open.group().noiommu() ? Optional.empty() : driver.map(IommuDriver::type1));
        });
  }

  /**
   * The type1 container behind a descriptor, for what lies above the user API. EINVAL before
   * SET_IOMMU, ENOTTY for one without an IOMMU.
   */
  public final Container type1(int fd) {
    return files.container(fd).iommu.orElseThrow(Descriptors::noIommu).type1();
  }

  private static VfioException badPointer(int number) {
    return new VfioException(
        Errno.EFAULT, Reason.BAD_ADDRESS, "ioctl 0x%x wants a pointer".formatted(number));
  }

  private static VfioException badDescriptor(Errno errno, int fd) {
    return new VfioException(
        errno, Reason.BAD_DESCRIPTOR, "descriptor %d is no container".formatted(fd));
  }

  static void checkArgsz(int argsz, int least) {
    if (argsz < least) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "argsz too small: argsz=%d, min=%d".formatted(argsz, least));
    }
  }

  private void run(String callName, Runnable body) {
    call(
        callName,
        () -> {
          body.run();
          return 0;
        });
  }

  private <T> T call(String callName, Supplier<T> body) {
    synchronized (machine) {
      return inCall(callName, body);
    }
  }

  private static void inCall(String callName, Runnable body) {
    inCall(
        callName,
        () -> {
          body.run();
          return 0;
        });
  }

  private static <T> T inCall(String callName, Supplier<T> body) {
    try {
      return body.get();
    } catch (VfioException refused) {
      throw refused.in(callName);
    }
  }
}
