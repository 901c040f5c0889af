// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/**
 * The user API on the engine: one process on a {@link Machine}, whatever that is made of. Its
 * descriptors are its own numbers. Thread-safe. A call waits for another one only where both want
 * the same group or container; see {@link MachineLock}.
 */
public final class EngineVfio implements Vfio, AutoCloseable {
  private final String name;
  private final Machine machine;
  private final VfioCore core;
  private final MachineLock lock;
  private final AddressSpace memory;
  private final Descriptors files = new Descriptors();
  private final GroupFiles groupFiles;
  private int containers;
  private volatile boolean rawIo = true;

  /**
   * A process with no descriptor open.
   *
   * @param name for error messages
   * @param machine what it runs on
   * @param memory the process's memory
   */
  public EngineVfio(String name, Machine machine, AddressSpace memory) {
    this.name = name;
    this.machine = machine;
    this.core = machine.core();
    this.lock = core.lock();
    this.memory = memory;
    this.groupFiles = new GroupFiles(name, machine, files);
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
    rawIo = on;
  }

  /** Open descriptors. */
  public int descriptors() {
    try (MachineLock.Held _ = lock.hold()) {
      return files.numbers().size();
    }
  }

  /**
   * Closes every descriptor in order, as the exit of a process does. One that fails does not keep
   * the others: what the first threw is thrown at the end, with what followed as suppressed.
   */
  @Override
  public void close() {
    Optional<RuntimeException> failed = Optional.empty();
    for (Optional<OpenFile> next = takeFirst(); next.isPresent(); next = takeFirst()) {
      try {
        OpenFile file = next.get();
        inCall("close", () -> groupFiles.closed(file));
      } catch (RuntimeException e) {
        failed.ifPresent(first -> first.addSuppressed(e));
        failed = failed.or(() -> Optional.of(e));
      }
    }
    failed.ifPresent(
        first -> {
          throw first;
        });
  }

  private Optional<OpenFile> takeFirst() {
    try (MachineLock.Held _ = lock.hold()) {
      return files.numbers().stream().findFirst().map(files::remove);
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
    return inCall("open", () -> groupFiles.open(device, rawIo));
  }

  @Override
  public int open(String path) {
    if (path.equals("/dev/vfio/vfio")) {
      return container();
    }
    if (path.equals("/dev/null") || path.equals("/dev/zero")) {
      return call("open", () -> files.allocate(new OpenFile.Other(path)));
    }
    return inCall("open", () -> groupFiles.openPath(path, rawIo));
  }

  @Override
  public void close(int fd) {
    OpenFile file = call("close", () -> files.remove(fd));
    inCall("close", () -> groupFiles.closed(file));
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
    inCall("VFIO_SET_IOMMU", () -> groupFiles.setIommu(fd, type, rawIo));
  }

  @Override
  public int groupStatus(int fd, int argsz) {
    return inCall("VFIO_GROUP_GET_STATUS", () -> groupFiles.status(fd, argsz));
  }

  @Override
  public void setContainer(int groupFd, int containerFd) {
    inCall("VFIO_GROUP_SET_CONTAINER", () -> groupFiles.setContainer(groupFd, containerFd, rawIo));
  }

  @Override
  public void unsetContainer(int groupFd) {
    inCall("VFIO_GROUP_UNSET_CONTAINER", () -> groupFiles.unsetContainer(groupFd));
  }

  @Override
  public int deviceFd(int groupFd, Optional<String> deviceName) {
    return inCall(
        "VFIO_GROUP_GET_DEVICE_FD", () -> groupFiles.openDevice(groupFd, deviceName, rawIo));
  }

  @Override
  public void map(int fd, MapRequest request) {
    Container container = call("VFIO_IOMMU_MAP_DMA", () -> mapper(fd));
    inCall("VFIO_IOMMU_MAP_DMA", () -> DmaCalls.map(machine.profile(), container, memory, request));
  }

  @Override
  public long unmap(int fd, UnmapRequest request) {
    Container container = call("VFIO_IOMMU_UNMAP_DMA", () -> mapper(fd));
    return inCall(
        "VFIO_IOMMU_UNMAP_DMA",
        () -> DmaCalls.unmap(machine.profile(), container, memory, request));
  }

  @Override
  public IommuInfo info(int fd, int argsz) {
    Container container = call("VFIO_IOMMU_GET_INFO", () -> mapper(fd));
    return inCall("VFIO_IOMMU_GET_INFO", () -> DmaCalls.info(machine.profile(), container, argsz));
  }

  @Override
  public void dirtyPages(int fd, int flags) {
    Container container = call("VFIO_IOMMU_DIRTY_PAGES", () -> mapper(fd));
    inCall(
        "VFIO_IOMMU_DIRTY_PAGES", () -> DmaCalls.dirtyPages(machine.profile(), container, flags));
  }

  @Override
  public void dirtyBitmap(int fd, BitmapRequest request) {
    Container container = call("VFIO_IOMMU_DIRTY_PAGES", () -> mapper(fd));
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
    return ofDevice("VFIO_DEVICE_GET_INFO", fd, DeviceFile::info);
  }

  @Override
  public void reset(int fd) {
    ofDevice(
        "VFIO_DEVICE_RESET",
        fd,
        file -> {
          file.reset();
          return 0;
        });
  }

  @Override
  public List<Dependent> hotResetInfo(int fd) {
    return ofDevice("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", fd, DeviceFile::hotResetInfo);
  }

  @Override
  public int readConfig(int fd) {
    return ofDevice("pread", fd, DeviceFile::readConfig);
  }

  /** A call of a device, which may take long: a reset does. */
  private <T> T ofDevice(String callName, int fd, Function<DeviceFile, T> body) {
    DeviceFile file = call(callName, () -> files.device(fd).file());
    return inCall(callName, () -> body.apply(file));
  }

  /** The open device behind a descriptor, for what lies above the user API. */
  public DeviceFile deviceFile(int fd) {
    return device(fd).file();
  }

  /** The open device behind a descriptor, and where its group is now. */
  public OpenDevice device(int fd) {
    return call(
        "device",
        () -> {
          OpenFile.OfDevice open = files.device(fd);
          VfioGroup group = open.group();
          Optional<Container> container =
              group.noiommu()
                  ? Optional.empty()
                  : group.container.flatMap(c -> c.iommu).map(IommuDriver::type1);
          Optional<IommuDomain> domain = container.flatMap(c -> c.domainOf(group.group));
          return new OpenDevice(open.device(), open.file(), container, domain);
        });
  }

  /**
   * The type1 container behind a descriptor, for what lies above the user API. EINVAL before
   * SET_IOMMU, ENOTTY for one without an IOMMU.
   */
  public Container type1(int fd) {
    return call("type1", () -> mapper(fd));
  }

  private Container mapper(int fd) {
    return files.container(fd).iommu.orElseThrow(Descriptors::noIommu).type1();
  }

  private static VfioException badPointer(int number) {
    return new VfioException(
        Errno.EFAULT, Reason.BAD_ADDRESS, "ioctl 0x%x wants a pointer".formatted(number));
  }

  static void checkArgsz(int argsz, int least) {
    if (argsz < least) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "argsz too small: argsz=%d, min=%d".formatted(argsz, least));
    }
  }

  /** What a call does with the machine's lock held. */
  private <T> T call(String callName, Supplier<T> body) {
    try (MachineLock.Held _ = lock.hold()) {
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
