// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.DriverKind;

/**
 * What a refusal of the kernel means for who opens a device: which device, who stands in the way,
 * what to do. Looks at the machine only after a refusal, and decides nothing: errno and call stay
 * the kernel's.
 */
final class Diagnosis {
  private final Sysfs sysfs;
  private final Path proc;
  private final LockedMemory memory;

  /**
   * Of this machine.
   *
   * @param proc {@code /proc} but in tests
   */
  Diagnosis(Sysfs sysfs, Path proc, SystemCalls calls) {
    this.sysfs = sysfs;
    this.proc = proc;
    this.memory = new LockedMemory(proc, calls);
  }

  /** {@code /dev/vfio/vfio} could not be opened. */
  RuntimeException noVfio(SystemCallException refusal) {
    Optional<Errno> errno = Errno.of(refusal.errno());
    if (errno.isEmpty()) {
      return refusal;
    }
    return switch (errno.get()) {
      case ENOENT, ENODEV, ENXIO ->
          new VfioException(
              new Refusal(
                  errno.get(),
                  Reason.NOT_SUPPORTED,
                  "open",
                  "the kernel offers no VFIO here: modprobe vfio-pci, or a kernel with CONFIG_VFIO",
                  List.of(),
                  Optional.empty()));
      case EACCES, EPERM ->
          new VfioException(
              new Refusal(
                  errno.get(),
                  Reason.NOT_PERMITTED,
                  "open",
                  "this user may not open /dev/vfio/vfio: chmod 0666 /dev/vfio/vfio, which is safe",
                  List.of(),
                  Optional.empty()));
      default -> refusal;
    };
  }

  /** There is no such device on this machine. */
  VfioException noDevice(String address) {
    return new VfioException(
        Errno.ENODEV, Reason.NO_GROUP, "there is no PCI device " + address + " here", address);
  }

  /** The device has no IOMMU group. */
  VfioException noGroup(String address) {
    return new VfioException(
        Errno.ENODEV,
        Reason.NO_GROUP,
        address
            + " has no IOMMU group: switch the IOMMU on in the firmware (VT-d, AMD-Vi) and with"
            + " intel_iommu=on on the kernel's command line",
        address);
  }

  /** {@code /dev/vfio/N} could not be opened. */
  VfioException unopened(VfioException refusal, int group, String address) {
    return switch (refusal.errno()) {
      case ENOENT, ENODEV, ENXIO -> reworded(refusal, notOffered(address, group), address);
      case EBUSY -> held(refusal.errno(), refusal.reason(), "open", group, address);
      case EACCES, EPERM ->
          reworded(
              refusal,
              "this user may not open /dev/vfio/%d, the group of %s: chown it to the user"
                  .formatted(group, address),
              address);
      default -> refusal;
    };
  }

  /** The group's device could not be had. */
  VfioException notGiven(VfioException refusal, int group, String address) {
    return switch (refusal.errno()) {
      case ENODEV -> reworded(refusal, notOffered(address, group), address);
      case EACCES ->
          reworded(
              refusal,
              address
                  + " is a virtual function of a function on vfio-pci, which asks for its token;"
                  + " bind the physical function to its own driver",
              address);
      default -> about(refusal, address);
    };
  }

  /** The group's status says that a driver of the host uses one of its members. */
  VfioException notViable(int group, String address) {
    List<String> members = sysfs.members(group).stream().map(LinuxDevice::name).toList();
    String drivers =
        members.stream()
            .map(m -> m + " (" + sysfs.driver(m).orElse("no driver") + ")")
            .collect(Collectors.joining(", "));
    return new VfioException(
        new Refusal(
            Errno.EPERM,
            Reason.GROUP_NOT_VIABLE,
            "VFIO_GROUP_GET_STATUS",
            ("IOMMU group %d of %s is not viable: a driver of the host has one of %s; bind all of"
                    + " them to vfio-pci: vfio bind %s")
                .formatted(group, address, drivers, address),
            members,
            Optional.empty()));
  }

  /** The group could not be opened, put into the container, or the container got no IOMMU. */
  VfioException notAttached(VfioException refusal, int group, String address) {
    if (refusal.reason() == Reason.GROUP_OPEN) {
      return held(refusal.errno(), refusal.reason(), "open", group, address);
    }
    Refusal said = refusal.refusal();
    String call = said.call();
    if (call.equals("open")) {
      return unopened(refusal, group, address);
    }
    if (said.reason() == Reason.BACKING_GROUP_HELD && said.holder().isPresent()) {
      return reworded(refusal, inUse(group, address, true), address);
    }
    if (call.equals("VFIO_SET_IOMMU") && refusal.errno() == Errno.EPERM) {
      return reworded(
          refusal,
          address
              + " could forge interrupts, since the platform does not remap them: switch interrupt"
              + " remapping on in the firmware, or accept it with"
              + " /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
          address);
    }
    if (refusal.reason() == Reason.GROUP_NOT_VIABLE) {
      Refusal members = notViable(group, address).refusal();
      return new VfioException(
          new Refusal(
              refusal.errno(),
              refusal.reason(),
              call,
              members.message(),
              members.devices(),
              Optional.empty()));
    }
    if (refusal.errno() == Errno.EBUSY) {
      return held(refusal.errno(), refusal.reason(), call, group, address);
    }
    return about(refusal, address);
  }

  /** The kernel would not map; {@code windows} is what it allows. */
  VfioException notMapped(
      VfioException refusal, String address, long iova, long bytes, List<IovaRange> windows) {
    String what = "mapping 0x%x bytes at IOVA 0x%x for %s".formatted(bytes, iova, address);
    return switch (refusal.errno()) {
      case ENOMEM -> reworded(refusal, what + lockedMemory(bytes), address);
      case ENOSPC ->
          reworded(
              refusal,
              what
                  + " would be one mapping too many: map larger pieces, or raise"
                  + " /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
              address);
      case EFAULT -> reworded(refusal, what + ": the memory is not there, or read-only", address);
      case EINVAL ->
          reworded(
              refusal,
              what + ": the IOMMU allows whole pages in " + IovaAllocator.describe(windows),
              address);
      default -> reworded(refusal, what + ": " + refusal.refusal().message(), address);
    };
  }

  private String lockedMemory(long bytes) {
    OptionalLong limit = memory.limit();
    long locked = memory.bytes();
    if (limit.isEmpty() || bytes <= limit.getAsLong() - locked || memory.maySkipLimit()) {
      return ": the kernel has no memory for it";
    }
    return (": RLIMIT_MEMLOCK allows %d bytes of locked memory, %d are locked, %d more are needed;"
            + " raise it with ulimit -l, prlimit --memlock or LimitMEMLOCK= of the service")
        .formatted(limit.getAsLong(), locked, bytes);
  }

  private String notOffered(String address, int group) {
    Optional<String> driver = sysfs.driver(address);
    if (driver.isEmpty()) {
      return "%s has no driver; bind it to vfio-pci first: vfio bind %s"
          .formatted(address, address);
    }
    if (DriverKind.of(driver.get(), false).registersWithVfio()) {
      return "%s is bound to %s, yet VFIO does not offer it in /dev/vfio/%d"
          .formatted(address, driver.get(), group);
    }
    return "%s is bound to %s; bind it to vfio-pci first: vfio bind %s"
        .formatted(address, driver.get(), address);
  }

  /** Looks for the process that has the group's file, so nothing is asked of the refusal first. */
  private VfioException held(Errno errno, Reason reason, String call, int group, String address) {
    String file = "/dev/vfio/" + group;
    List<OpenFiles.User> holders = OpenFiles.users(proc, Path.of(file));
    long self = ProcessHandle.current().pid();
    boolean own = holders.stream().anyMatch(h -> h.pid() == self);
    Optional<Holder> holder =
        holders.stream().findFirst().map(h -> new Holder("process " + h, List.of(file)));
    return new VfioException(
        new Refusal(errno, reason, call, inUse(group, address, own), List.of(address), holder));
  }

  private static String inUse(int group, String address, boolean bySelf) {
    String advice =
        bySelf
            ? "it is this process: open both devices in one DmaSpace"
            : "one process can have a group open at a time";
    return "IOMMU group %d of %s is in use; %s".formatted(group, address, advice);
  }

  private static VfioException about(VfioException refusal, String address) {
    return reworded(refusal, address + ": " + refusal.refusal().message(), address);
  }

  private static VfioException reworded(VfioException refusal, String message, String address) {
    Refusal r = refusal.refusal();
    return new VfioException(
        new Refusal(r.errno(), r.reason(), r.call(), message, List.of(address), r.holder()));
  }
}
