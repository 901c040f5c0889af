// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.GroupState;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Lingering;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * An IOMMU group of this machine, by number. The kernel lets its file be opened once, so there is
 * one descriptor for all users here, open while somebody claims the group or has it open; every
 * device opened through it is a descriptor of its user's. The group's own lock covers it.
 *
 * <p>A group that is detached while a device of it is open in the kernel {@linkplain
 * GroupState#LINGERING lingers}: its file stays open, since what UNSET_CONTAINER answers is how the
 * kernel tells whether it is free.
 */
final class LinuxGroup implements IommuGroup {
  private static final System.Logger LOG = System.getLogger(LinuxGroup.class.getName());

  private final int id;
  private final Sysfs sysfs;
  private final SystemCalls calls;
  private final Function<Path, Optional<OpenFiles.User>> lookup;
  private final KeptFiles kept;

  private Optional<GroupCalls> file = Optional.empty();
  private final Ownership ownership = new Ownership(this);
  private final Lingering lingering = new Lingering(this);

  /** Held while it is looked up who its members are and which drivers they have. */
  private final Object membership = new Object();

  private boolean claimed;
  private int openers;

  /** A container without a type, in which the group is claimed but not attached. */
  private Optional<ContainerCalls> parked = Optional.empty();

  /** A container in which another process has left the group, until it is attached here. */
  private Optional<KeptContainer> left = Optional.empty();

  private Optional<LinuxDomain> domain = Optional.empty();
  private final List<DeviceCalls> devices = new ArrayList<>();

  /**
   * The group.
   *
   * @param lookup finds a process that has a file open; it may take long
   * @param kept where its files are kept
   */
  LinuxGroup(
      int id,
      Sysfs sysfs,
      SystemCalls calls,
      Function<Path, Optional<OpenFiles.User>> lookup,
      KeptFiles kept) {
    this.id = id;
    this.sysfs = sysfs;
    this.calls = calls;
    this.lookup = lookup;
    this.kept = kept;
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public List<LinuxDevice> devices() {
    return sysfs.members(id);
  }

  @Override
  public Ownership ownership() {
    return ownership;
  }

  Object membership() {
    return membership;
  }

  List<ReservedRegion> regions() {
    return sysfs.regions(id);
  }

  void open() {
    synchronized (this) {
      checkSettled();
      file();
      openers++;
    }
    lingering.tell();
  }

  GroupState state() {
    settle();
    synchronized (this) {
      if (lingering.lingers()) {
        return GroupState.LINGERING;
      }
      return file.isPresent() ? GroupState.HELD : GroupState.FREE;
    }
  }

  void onFree(Runnable then) {
    lingering.await(then);
    settle();
  }

  /** Asks the kernel whether a group that lingers is free now, and tells those who wait. */
  void settle() {
    synchronized (this) {
      if (lingering.lingers()) {
        leave();
        if (!lingering.lingers()) {
          closeUnused();
        }
      }
    }
    lingering.tell();
  }

  private void checkSettled() {
    if (lingering.lingers()) {
      leave();
    }
    lingering.check("VFIO_GROUP_UNSET_CONTAINER");
  }

  synchronized void close() {
    openers--;
    closeUnused();
  }

  /** The kernel claims a group's DMA when it enters a container, of whatever type. */
  synchronized void claim() {
    if (domain.isEmpty()) {
      park();
    }
    claimed = true;
  }

  synchronized void unclaim() {
    claimed = false;
    unpark();
    closeUnused();
  }

  synchronized boolean viable() {
    if (file.isPresent()) {
      return file.get().viable();
    }
    return hostDriven().isEmpty();
  }

  synchronized void attach(LinuxDomain next) {
    if (domain.isPresent()) {
      String message = "IOMMU group %d has a domain already".formatted(id);
      throw new VfioException(Errno.EBUSY, Reason.BACKING_GROUP_HELD, message, names());
    }
    if (left.isPresent()) {
      attachLeft(next, left.get());
      return;
    }
    checkSettled();
    boolean done = false;
    try {
      if (next.container().isPresent()) {
        unpark();
        enter(next.container().get());
        next.joined();
      } else {
        park();
        next.start(parked.orElseThrow());
        parked = Optional.empty();
      }
      domain = Optional.of(next);
      done = true;
    } catch (VfioException refused) {
      throw explained(refused);
    } finally {
      if (!done) {
        // Also where SET_IOMMU has succeeded and what came after it has not.
        unpark();
        parkIfClaimed();
        closeUnused();
      }
    }
  }

  /**
   * Is in a container that another process has left it in. Who attaches it to a domain that is not
   * the container's, and has none yet, tries that only, and attaches it to the container's next.
   */
  private void attachLeft(LinuxDomain next, KeptContainer in) {
    if (in.enters(next)) {
      left = Optional.empty();
    } else if (next.container().isPresent()) {
      String message = "IOMMU group %d is in another container than that one".formatted(id);
      throw new VfioException(Errno.EINVAL, Reason.CONTAINER_STATE, message, names());
    }
    domain = Optional.of(next);
  }

  /**
   * Takes over what another process has left.
   *
   * @param opened the group's file
   * @param in the container that it is in, as somebody had it attached; empty if nobody had, and it
   *     may linger
   */
  synchronized void resume(GroupCalls opened, Optional<KeptContainer> in) {
    file = Optional.of(opened);
    left = in;
    if (in.isEmpty()) {
      lingering.begin();
    }
  }

  /** Takes over a device that another process has opened through it. */
  synchronized void resumeDevice(DeviceCalls device) {
    devices.add(device);
  }

  /** The name under which the container is kept that it is in; empty if none is. */
  synchronized Optional<String> containerName() {
    return domain.flatMap(LinuxDomain::container).flatMap(kept::nameOf);
  }

  /**
   * Device descriptors, UNSET_CONTAINER; whoever holds the group closes its descriptor. A claim is
   * not renewed: who detaches a claimed group gives the claim back next, or attaches again, which
   * claims by itself.
   */
  synchronized void detach(LinuxDomain from) {
    if (domain.isEmpty() || domain.get() != from) {
      return;
    }
    domain = Optional.empty();
    if (left.isPresent()) {
      // It was never in that domain's container.
      return;
    }
    devices.forEach(DeviceCalls::close);
    devices.clear();
    leave();
    from.left(lingering.lingers());
  }

  /** GET_DEVICE_FD. The descriptor is its user's; a detach closes it. */
  synchronized DeviceCalls openDevice(String name) {
    if (domain.isEmpty()) {
      throw new VfioException(
          Errno.EINVAL, Reason.CONTAINER_STATE, this + " is in no container with an IOMMU", name);
    }
    DeviceCalls device = file().device(name);
    devices.removeIf(d -> !d.descriptor().isOpen());
    devices.add(device);
    return device;
  }

  /** The file of a group that is open here. */
  synchronized GroupCalls opened() {
    return file.orElseThrow();
  }

  private void park() {
    if (parked.isPresent()) {
      return;
    }
    checkSettled();
    boolean done = false;
    ContainerCalls container = openContainer();
    try {
      enter(container);
      parked = Optional.of(container);
      done = true;
    } catch (VfioException refused) {
      throw explained(refused);
    } finally {
      if (!done) {
        container.close();
        closeUnused();
      }
    }
  }

  private ContainerCalls openContainer() {
    try {
      return kept.container(ContainerCalls.open(calls));
    } catch (SystemCallException refused) {
      Errno errno = Errno.of(refused.errno()).orElse(Errno.EIO);
      Reason reason = errno == Errno.EACCES ? Reason.NOT_PERMITTED : Reason.NO_MEMORY;
      throw new VfioException(
          new Refusal(
              errno,
              errno == Errno.ENOENT ? Reason.NOT_SUPPORTED : reason,
              refused.call(),
              "no container for IOMMU group " + id,
              List.of(names()),
              Optional.empty()));
    }
  }

  private void enter(ContainerCalls container) {
    file().setContainer(container);
  }

  private void unpark() {
    parked.ifPresent(
        container -> {
          leave();
          if (lingering.lingers()) {
            // Nothing of it can be open before it is attached: the file takes it along.
            lingering.end();
            closeFile();
          }
          container.close();
        });
    parked = Optional.empty();
  }

  /** A claim outlives the attach, as it does in the kernel. */
  private void parkIfClaimed() {
    if (claimed) {
      try {
        park();
      } catch (RuntimeException refused) {
        LOG.log(Level.WARNING, "group " + id + " is not claimed any more: " + refused.getMessage());
      }
    }
  }

  /**
   * UNSET_CONTAINER. While a device is open in the kernel, by a mapping of its registers or by a
   * descriptor that somebody was handed, that is EBUSY, and the group lingers. If it fails
   * otherwise the file goes too: the kernel then detaches the group itself.
   */
  private void leave() {
    try {
      file().unsetContainer();
      lingering.end();
    } catch (VfioException refused) {
      if (refused.errno() == Errno.EBUSY) {
        // What a user can reach by keeping registers mapped is nothing to warn of.
        LOG.log(Level.INFO, "group " + id + " lingers: a device of it is open in the kernel");
        lingering.begin();
      } else {
        closeToLeave(refused);
      }
    } catch (SystemCallException refused) {
      closeToLeave(refused);
    }
  }

  private void closeToLeave(RuntimeException refused) {
    LOG.log(
        Level.INFO, "group " + id + " is closed to leave its container: " + refused.getMessage());
    lingering.end();
    closeFile();
  }

  private GroupCalls file() {
    if (file.isEmpty()) {
      try {
        file = Optional.of(kept.open(calls, id));
      } catch (VfioException refused) {
        throw explained(refused);
      }
    }
    return file.get();
  }

  private void closeUnused() {
    if (claimed || openers > 0) {
      return;
    }
    if (lingering.lingers()) {
      leave();
    }
    if (!lingering.lingers()) {
      closeFile();
    }
  }

  private void closeFile() {
    file.ifPresent(GroupCalls::close);
    file = Optional.empty();
    left = Optional.empty();
  }

  /** The kernel's refusal, with what else can be found out: the devices, and who is in the way. */
  private VfioException explained(VfioException refused) {
    Refusal r = refused.refusal();
    if (!r.devices().isEmpty()) {
      return refused;
    }
    List<String> inTheWay = r.reason() == Reason.GROUP_NOT_VIABLE ? hostDriven() : List.of();
    Refusal told =
        new Refusal(
            r.errno(),
            firmware(r) ? Reason.RMRR_LOCKED : r.reason(),
            r.call(),
            r.message(),
            inTheWay.isEmpty() ? List.of(names()) : inTheWay,
            Optional.empty());
    return r.reason() == Reason.GROUP_OPEN
        ? VfioException.findingHolder(told, this::opener)
        : new VfioException(told);
  }

  /** Who has the group's file open. Who keeps a device's descriptor only is not to be found. */
  private Optional<Holder> opener() {
    return lookup
        .apply(Path.of("/dev/vfio/" + id))
        .map(user -> new Holder("process " + user, List.of(names())));
  }

  /** Devices with identity mappings of firmware: EPERM at SET_IOMMU, EINVAL at SET_CONTAINER. */
  private boolean firmware(Refusal r) {
    boolean atAttach = r.errno() == Errno.EPERM && r.call().equals("VFIO_SET_IOMMU");
    boolean atClaim = r.errno() == Errno.EINVAL && r.call().equals("VFIO_GROUP_SET_CONTAINER");
    return (atAttach || atClaim) && keepsIdentity();
  }

  /** What cannot be told explains nothing; it must not hide the refusal that is explained. */
  private boolean keepsIdentity() {
    try {
      return regions().stream().anyMatch(r -> r.type() == ReservedRegion.Type.DIRECT);
    } catch (VfioException unreadable) {
      return false;
    }
  }

  private List<String> hostDriven() {
    return devices().stream().map(LinuxDevice::name).filter(sysfs::hostDriven).toList();
  }

  private String[] names() {
    return devices().stream().map(LinuxDevice::name).toArray(String[]::new);
  }

  @Override
  public String toString() {
    return "group " + id;
  }
}
