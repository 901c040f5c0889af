// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

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
import org.vfio4j.type1.Container;
import org.vfio4j.unwind.Attempt;

/**
 * The groups and devices that one process has open: what opening them, moving groups between
 * containers and closing them takes. None of it is done to the hardware with the machine's lock
 * held: see {@link MachineLock}.
 */
final class GroupFiles {
  private static final int PAGE_SIZE = 4096;
  private static final int STATUS_ARGSZ = 8;

  private final String process;
  private final Machine machine;
  private final VfioCore core;
  private final MachineLock lock;
  private final Descriptors files;

  /** Of the process of that name and descriptor table. */
  GroupFiles(String process, Machine machine, Descriptors files) {
    this.process = process;
    this.machine = machine;
    this.core = machine.core();
    this.lock = core.lock();
    this.files = files;
  }

  /** Opens the group of a device. */
  int open(String device, boolean rawIo) {
    return open(machine.groupOf(device), () -> noGroup(device), "", rawIo);
  }

  private VfioException noGroup(String device) {
    String why =
        machine.device(device).isEmpty()
            ? "there is no device " + device
            : "no member of the group of " + device + " has a VFIO driver";
    return new VfioException(Errno.ENOENT, Reason.NO_GROUP, why, device);
  }

  /** Opens a group's file. ENOENT for any other. */
  int openPath(String path, boolean rawIo) {
    Supplier<VfioException> noFile =
        () -> new VfioException(Errno.ENOENT, Reason.NO_GROUP, "there is no " + path);
    if (!path.matches("/dev/vfio/(noiommu-)?[0-9]{1,9}")) {
      throw noFile.get();
    }
    int id = Integer.parseInt(path.replaceFirst("^\\D+", ""));
    return open(machine.group(id), noFile, path, rawIo);
  }

  /**
   * Opens a group.
   *
   * @param path what its file must be called; empty for any name
   */
  private int open(
      Optional<IommuGroup> asked, Supplier<VfioException> absent, String path, boolean rawIo) {
    IommuGroup group = asked.orElseThrow(absent);
    machine.refresh(group);
    VfioGroup opening = beginOpen(group, path, rawIo).orElseThrow(absent);
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> openFailed(opening));
      machine.openGroup(group);
      attempt.undo(() -> machine.closeGroup(group));
      int fd = allocate(new OpenFile.OfGroup(opening));
      attempt.keep();
      settled(opening);
      return fd;
    }
  }

  /** The group is open and busy from now on; empty if VFIO does not offer it. */
  private Optional<VfioGroup> beginOpen(IommuGroup group, String path, boolean rawIo) {
    try (MachineLock.Held _ = lock.hold()) {
      Optional<VfioGroup> found = offered(group, path);
      while (found.isPresent()) {
        Noiommu.checkPermitted(found.get(), rawIo);
        core.checkClosed(found.get());
        if (!found.get().busy) {
          core.opened(found.get(), process);
          break;
        }
        // Its last user is leaving.
        lock.awaitSettled();
        found = offered(group, path);
      }
      return found;
    }
  }

  private Optional<VfioGroup> offered(IommuGroup group, String path) {
    return core.find(group).filter(g -> path.isEmpty() || g.path().equals(path));
  }

  private void openFailed(VfioGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      group.fileOpen = false;
      settled(group);
    }
  }

  private int allocate(OpenFile file) {
    try (MachineLock.Held _ = lock.hold()) {
      return files.allocate(file);
    }
  }

  private void settled(VfioGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      core.settled(group, Optional.empty());
    }
    machine.letGo();
  }

  /** The group behind a descriptor, which knows which of its members VFIO's drivers have now. */
  private void refresh(int fd) {
    VfioGroup group;
    try (MachineLock.Held _ = lock.hold()) {
      group = files.group(fd);
    }
    machine.refresh(group.group);
  }

  /** The group behind a descriptor, when no other call is at it. With the lock held. */
  private VfioGroup idle(int fd) {
    VfioGroup group = files.group(fd);
    while (group.busy) {
      lock.awaitSettled();
      group = files.group(fd);
    }
    return group;
  }

  /** GROUP_GET_STATUS. */
  int status(int fd, int argsz) {
    refresh(fd);
    VfioGroup group;
    boolean set;
    try (MachineLock.Held _ = lock.hold()) {
      group = idle(fd);
      EngineVfio.checkArgsz(argsz, STATUS_ARGSZ);
      core.checkAlive(group);
      set = group.container.isPresent();
    }
    return core.status(group, set);
  }

  /** SET_IOMMU. */
  void setIommu(int fd, int type, boolean rawIo) {
    List<VfioGroup> groups;
    try (MachineLock.Held _ = lock.hold()) {
      groups = List.copyOf(files.container(fd).groups);
    }
    groups.forEach(g -> machine.refresh(g.group));
    VfioContainer container;
    IommuDriver driver;
    try (MachineLock.Held _ = lock.hold()) {
      container = files.container(fd);
      while (container.busy || container.groups.stream().anyMatch(g -> g.busy)) {
        lock.awaitSettled();
        container = files.container(fd);
      }
      driver = core.start(container, type, rawIo);
    }
    start(container, driver);
  }

  private void start(VfioContainer container, IommuDriver driver) {
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> started(container, Optional.empty()));
      VfioCore.attachAll(container, driver);
      attempt.keep();
    }
    started(container, Optional.of(driver));
  }

  private void started(VfioContainer container, Optional<IommuDriver> driver) {
    try (MachineLock.Held _ = lock.hold()) {
      core.started(container, driver);
    }
    machine.letGo();
  }

  /** A group on its way into a container. */
  private record Join(VfioGroup group, VfioContainer container) {}

  /** SET_CONTAINER: what a live container has mapped is mapped for the group too. */
  void setContainer(int groupFd, int containerFd, boolean rawIo) {
    refresh(groupFd);
    Join join = beginJoin(groupFd, containerFd, rawIo);
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> joined(join, false));
      core.attach(join.group, join.container);
      attempt.keep();
    }
    joined(join, true);
  }

  private Join beginJoin(int groupFd, int containerFd, boolean rawIo) {
    try (MachineLock.Held _ = lock.hold()) {
      while (true) {
        Join join = checkedJoin(groupFd, containerFd, rawIo);
        if (!join.container.busy) {
          core.join(join.group, join.container);
          return join;
        }
        lock.awaitSettled();
      }
    }
  }

  private Join checkedJoin(int groupFd, int containerFd, boolean rawIo) {
    VfioGroup group = idle(groupFd);
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
    return new Join(group, container);
  }

  private static VfioException badDescriptor(Errno errno, int fd) {
    return new VfioException(
        errno, Reason.BAD_DESCRIPTOR, "descriptor %d is no container".formatted(fd));
  }

  private void joined(Join join, boolean attached) {
    try (MachineLock.Held _ = lock.hold()) {
      core.joined(join.group, join.container, attached);
    }
    machine.letGo();
  }

  /** UNSET_CONTAINER. */
  void unsetContainer(int groupFd) {
    refresh(groupFd);
    VfioGroup group;
    try (MachineLock.Held _ = lock.hold()) {
      group = idle(groupFd);
      while (group.container.filter(c -> c.busy).isPresent()) {
        lock.awaitSettled();
        group = idle(groupFd);
      }
      core.checkUnset(group);
      core.leave(group);
    }
    leave(group);
  }

  private void leave(VfioGroup group) {
    try {
      core.detach(group);
    } finally {
      try (MachineLock.Held _ = lock.hold()) {
        core.left(group);
      }
      machine.letGo();
    }
  }

  /** GET_DEVICE_FD. */
  int openDevice(int groupFd, Optional<String> name, boolean rawIo) {
    refresh(groupFd);
    VfioGroup group;
    try (MachineLock.Held _ = lock.hold()) {
      group = idle(groupFd);
      checkName(group, name);
      checkLive(group);
      group.busy = true;
    }
    try {
      return openDevice(group, name.orElseThrow(), rawIo);
    } finally {
      settled(group);
    }
  }

  private void checkName(VfioGroup group, Optional<String> name) {
    String asked =
        name.orElseThrow(() -> new VfioException(Errno.EFAULT, Reason.BAD_ARGUMENT, "no name"));
    if (asked.length() >= PAGE_SIZE) {
      throw new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, "name too long");
    }
    if (machine.profile().deviceNameFirst()) {
      DeviceName.find(machine, group, asked);
    }
  }

  private static void checkLive(VfioGroup group) {
    if (group.container.flatMap(c -> c.iommu).isEmpty()) {
      throw new VfioException(
          Errno.EINVAL, Reason.CONTAINER_STATE, "the group is in no container with an IOMMU");
    }
  }

  /** The group is busy: it stays where it is. */
  private int openDevice(VfioGroup group, String asked, boolean rawIo) {
    if (!machine.profile().ownership() && !core.viable(group)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.GROUP_NOT_VIABLE,
          "a driver of the host uses a member of VFIO group " + group.group.id());
    }
    Device device;
    try (MachineLock.Held _ = lock.hold()) {
      Noiommu.checkPermitted(group, rawIo);
      device = DeviceName.find(machine, group, asked);
    }
    try (Attempt attempt = new Attempt()) {
      DeviceFile opened = machine.openDevice(group.group, device, asked);
      attempt.undo(opened::close);
      listen(group, device);
      try (MachineLock.Held _ = lock.hold()) {
        int fd = files.allocate(new OpenFile.OfDevice(group, device, opened));
        group.deviceFiles++;
        attempt.keep();
        return fd;
      }
    }
  }

  /** The driver of a plain mediated device gives up its pins when what it pinned is unmapped. */
  private static void listen(VfioGroup group, Device device) {
    if (device instanceof MediatedDevice m && m.isolation() instanceof Isolation.Plain) {
      Container container = group.container.orElseThrow().iommu.orElseThrow().type1();
      container.onUnmap(group.group, (iova, size) -> container.unpinAll(group.group, iova, size));
    }
  }

  /** A descriptor is no more: what it was the last of goes. */
  void closed(OpenFile file) {
    switch (file) {
      case OpenFile.OfGroup(VfioGroup group) -> closed(group, Optional.empty());
      case OpenFile.OfDevice(VfioGroup group, _, DeviceFile device) ->
          closed(group, Optional.of(device));
      case OpenFile.OfContainer _, OpenFile.Other _ -> {}
    }
  }

  private void closed(VfioGroup group, Optional<DeviceFile> device) {
    boolean last = beginClose(group, device.isPresent());
    try {
      device.ifPresent(DeviceFile::close);
    } finally {
      try {
        if (last) {
          release(group);
        }
      } finally {
        endClose(group);
      }
    }
  }

  /**
   * One descriptor less refers to the group, which is busy until {@link #endClose}.
   *
   * @return whether that was the last
   */
  private boolean beginClose(VfioGroup group, boolean ofDevice) {
    try (MachineLock.Held _ = lock.hold()) {
      int remaining = group.deviceFiles + (group.fileOpen ? 1 : 0) - 1;
      while (group.busy || (remaining == 0 && group.container.filter(c -> c.busy).isPresent())) {
        lock.awaitSettled();
        remaining = group.deviceFiles + (group.fileOpen ? 1 : 0) - 1;
      }
      if (ofDevice) {
        group.deviceFiles--;
      } else {
        group.fileOpen = false;
      }
      if (remaining == 0 && group.container.isPresent()) {
        core.leave(group);
      }
      group.busy = true;
      return remaining == 0;
    }
  }

  private void release(VfioGroup group) {
    try {
      if (group.container.isPresent()) {
        core.detach(group);
      }
    } finally {
      machine.closeGroup(group.group);
    }
  }

  private void endClose(VfioGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      if (!group.opened() && group.container.isPresent()) {
        core.left(group);
      } else {
        core.settled(group, Optional.empty());
      }
    }
    machine.letGo();
  }
}
