// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.event.Events;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;
import org.vfio4j.unwind.Attempt;

/**
 * Groups and containers of one machine ({@code vfio.c}, {@code group.c}, {@code container.c}): who
 * is in which container, and what that takes. The machine's lock, which is here, covers it, and it
 * is the machine that tells which devices have a VFIO driver.
 *
 * <p>What a group's way into a container or out of it does to the hardware is done without the
 * lock: a method here marks what is busy, one does the work, and one says that it is done.
 */
public final class VfioCore {
  private final KernelProfile profile;
  private final Iommu iommu;
  private final Type1Parameters parameters;
  private final Events events;
  private final VfioParameters vfio = new VfioParameters();
  private final MachineLock lock = new MachineLock();
  private final Map<IommuGroup, VfioGroup> groups = new IdentityHashMap<>();

  /**
   * A machine without devices.
   *
   * @param profile whose answers to give
   * @param iommu the hardware
   * @param parameters of the type1 module
   */
  public VfioCore(KernelProfile profile, Iommu iommu, Type1Parameters parameters) {
    this(profile, iommu, parameters, Events.NONE);
  }

  /**
   * A machine without devices that is watched.
   *
   * @param profile whose answers to give
   * @param iommu the hardware
   * @param parameters of the type1 module
   * @param events told of what happens in the containers
   */
  public VfioCore(KernelProfile profile, Iommu iommu, Type1Parameters parameters, Events events) {
    this.events = events;
    this.profile = profile;
    this.iommu = iommu;
    this.parameters = parameters;
  }

  /** The machine's lock. */
  public MachineLock lock() {
    return lock;
  }

  /** The module parameters of vfio. */
  public VfioParameters parameters() {
    return vfio;
  }

  Optional<VfioGroup> find(IommuGroup group) {
    return Optional.ofNullable(groups.get(group));
  }

  /** The members of a group that have a VFIO driver; none for a group that VFIO does not offer. */
  public Set<Device> registered(IommuGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      return find(group).map(g -> Set.copyOf(g.devices)).orElse(Set.of());
    }
  }

  /** {@code vfio_register_group_dev}: the device has a VFIO driver now. */
  public void register(IommuGroup group, Device device) {
    try (MachineLock.Held _ = lock.hold()) {
      groups.computeIfAbsent(group, VfioGroup::new).devices.add(device);
    }
  }

  /**
   * The device's driver is going: {@code vfio_unregister_group_dev}, as far as it comes. Who is
   * told to wait asks again when a user has gone.
   *
   * <p>The last device of a group takes the group out of its container, or waits until the user has
   * done that, by profile. Nobody waits here with the lock held: not for the user, and not for the
   * hardware.
   *
   * @param open whether somebody has the device open
   */
  public Unregistering unregister(IommuGroup group, Device device, boolean open) {
    try (MachineLock.Held _ = lock.hold()) {
      return find(group).map(g -> unregister(g, device, open)).orElseGet(Unregistering.Done::new);
    }
  }

  private Unregistering unregister(VfioGroup group, Device device, boolean open) {
    if (group.devices.contains(device)) {
      if (open || group.busy) {
        return new Unregistering.Waiting();
      }
      if (group.devices.size() == 1
          && profile.forcedDetachOnUnbind()
          && group.container.isPresent()) {
        return forceOut(group, device, group.container.get());
      }
      gone(group, device);
    }
    if (group.container.isPresent() && group.stalled.contains(device)) {
      return new Unregistering.Waiting();
    }
    group.stalled.remove(device);
    forget(group);
    return new Unregistering.Done();
  }

  private Unregistering forceOut(VfioGroup group, Device device, VfioContainer container) {
    if (container.busy) {
      return new Unregistering.Waiting();
    }
    leave(group);
    return new Unregistering.Forced(this, group, device);
  }

  /** A device of the group has no VFIO driver any more; with the last one the group is dead. */
  void gone(VfioGroup group, Device device) {
    group.devices.remove(device);
    if (!group.devices.isEmpty()) {
      return;
    }
    if (profile.forcedDetachOnUnbind()) {
      group.dead = true;
      groups.remove(group.group, group);
    } else {
      group.stalled.add(device);
    }
  }

  /** A group without devices is there for who has it open, and no longer. */
  private void forget(VfioGroup group) {
    if (group.devices.isEmpty() && group.stalled.isEmpty() && !group.opened()) {
      groups.remove(group.group, group);
    }
  }

  /** Whether the group is in a container. */
  public boolean contained(IommuGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      return find(group).flatMap(g -> g.container).isPresent();
    }
  }

  /** Refuses a group that somebody of this machine has open. */
  void checkClosed(VfioGroup group) {
    if (group.opened()) {
      List<String> names = group.devices.stream().map(Device::name).toList();
      throw new VfioException(
          Refusal.of(
                  Errno.EBUSY,
                  Reason.GROUP_OPEN,
                  group.path() + " is open already",
                  names.toArray(String[]::new))
              .heldBy(new Holder(group.opener, names)));
    }
  }

  void opened(VfioGroup group, String process) {
    group.fileOpen = true;
    group.opener = process;
    group.busy = true;
  }

  /**
   * Whether nothing of the group, or of the group that backs it, is used by a host driver. Asks the
   * hardware: without the lock.
   */
  boolean viable(VfioGroup group) {
    Optional<IommuGroup> backing = acquireBacking(group);
    backing.ifPresent(iommu::release);
    return backing.map(iommu::viable).orElse(true);
  }

  /** What GROUP_GET_STATUS tells; see {@link #viable} for the lock. */
  int status(VfioGroup group, boolean set) {
    boolean viable = (profile.ownership() && set) || viable(group);
    return (viable ? 1 : 0) | (set ? 2 : 0);
  }

  /**
   * {@code vfio_container_attach_group}, what comes before the hardware: the group is in the
   * container from now on, and cannot lose its driver. Both are busy until {@link #joined}.
   */
  void join(VfioGroup group, VfioContainer container) {
    Noiommu.checkUnmixed(container, group);
    group.container = Optional.of(container);
    container.groups.addFirst(group);
    group.busy = true;
    container.busy = true;
  }

  /** The group of a {@link #join} is claimed and, in a live container, attached. No lock held. */
  void attach(VfioGroup group, VfioContainer container) {
    try (Attempt attempt = new Attempt()) {
      if (profile.ownership()) {
        claim(group);
        attempt.undo(() -> unclaim(group));
      }
      container.iommu.ifPresent(driver -> driver.attach(group.group));
      attempt.keep();
    }
  }

  /** The join is over; one that was refused takes the group out again. */
  void joined(VfioGroup group, VfioContainer container, boolean attached) {
    if (!attached) {
      container.groups.remove(group);
      group.container = Optional.empty();
    }
    settled(group, Optional.of(container));
  }

  /** What was busy is so no more. */
  void settled(VfioGroup group, Optional<VfioContainer> container) {
    group.busy = false;
    container.ifPresent(c -> c.busy = false);
    forget(group);
    lock.settled();
  }

  void checkNoContainer(VfioGroup group) {
    group.container.ifPresent(
        c -> {
          throw new VfioException(
              Refusal.of(
                      Errno.EINVAL,
                      Reason.MULTIPLE_ADDRESS_SPACES,
                      "VFIO group %d is in a container already".formatted(group.group.id()))
                  .heldBy(holder(c, group)));
        });
  }

  void checkAlive(VfioGroup group) {
    if (group.dead) {
      throw new VfioException(Errno.ENODEV, Reason.NO_GROUP, "the devices of the group are gone");
    }
  }

  /**
   * {@code vfio_group_ioctl_unset_container}, what is asked before the group leaves its container.
   */
  void checkUnset(VfioGroup group) {
    if (group.container.isEmpty()) {
      throw new VfioException(Errno.EINVAL, Reason.GROUP_STATE, "the group is in no container");
    }
    if (group.deviceFiles > 0) {
      throw new VfioException(
          Errno.EBUSY,
          Reason.USERS_REMAIN,
          "%d device descriptors of the group are open".formatted(group.deviceFiles));
    }
  }

  /** The group is on its way out of its container: both are busy until {@link #left}. */
  void leave(VfioGroup group) {
    group.busy = true;
    group.container.orElseThrow().busy = true;
  }

  /**
   * The hardware of a group that leaves its container is detached; of the last one, what the
   * container maps is unmapped. No lock held. Cannot fail.
   */
  void detach(VfioGroup group) {
    VfioContainer container = group.container.orElseThrow();
    container.iommu.ifPresent(driver -> driver.detach(group.group));
    unclaim(group);
    if (container.groups.size() == 1) {
      container.iommu.ifPresent(IommuDriver::release);
    }
  }

  /** The group is out of its container; the last one has taken the IOMMU with it. */
  void left(VfioGroup group) {
    VfioContainer container = group.container.orElseThrow();
    container.groups.remove(group);
    group.container = Optional.empty();
    if (container.groups.isEmpty()) {
      container.iommu = Optional.empty();
    }
    settled(group, Optional.of(container));
  }

  /**
   * {@code vfio_ioctl_set_iommu}, what comes before the hardware. The container and its groups are
   * busy until {@link #started}.
   *
   * @param rawIo whether the caller has CAP_SYS_RAWIO
   * @return the driver to attach the groups to
   */
  IommuDriver start(VfioContainer container, int number, boolean rawIo) {
    if (container.groups.isEmpty() || container.iommu.isPresent()) {
      String state = container.groups.isEmpty() ? "has no group" : "has an IOMMU";
      throw new VfioException(Errno.EINVAL, Reason.CONTAINER_STATE, "the container " + state);
    }
    IommuDriver driver =
        container.noiommu()
            ? Noiommu.open(number, vfio, rawIo)
            : new IommuDriver.OfType1(type1(container.name, number));
    container.busy = true;
    container.groups.forEach(g -> g.busy = true);
    return driver;
  }

  /** SET_IOMMU attaches all groups of the container, or none. No lock held. */
  static void attachAll(VfioContainer container, IommuDriver driver) {
    try (Attempt attempt = new Attempt()) {
      attempt.undo(driver::release);
      for (VfioGroup group : container.groups) {
        driver.attach(group.group);
        attempt.undo(() -> driver.detach(group.group));
      }
      attempt.keep();
    }
  }

  /**
   * SET_IOMMU is over.
   *
   * @param driver whose the container is now; nobody's if a group was refused
   */
  void started(VfioContainer container, Optional<IommuDriver> driver) {
    container.iommu = driver;
    container.groups.forEach(g -> g.busy = false);
    container.busy = false;
    lock.settled();
  }

  private Container type1(String owner, int number) {
    Type1 type =
        flavour(number)
            .orElseThrow(
                () ->
                    new VfioException(
                        Errno.ENODEV, Reason.NOT_SUPPORTED, "no driver for IOMMU type " + number));
    return new Container(owner, iommu, profile, type, parameters, events);
  }

  private Optional<Type1> flavour(int number) {
    for (Type1 type : Type1.values()) {
      if (type.number() == number && (type != Type1.NESTING || profile.nestingKnown())) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  private void claim(VfioGroup group) {
    Optional<IommuGroup> backing = acquireBacking(group);
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> backing.ifPresent(iommu::release));
      backing.ifPresent(b -> b.ownership().claim(iommu));
      attempt.keep();
    }
    group.claimed = backing;
  }

  private void unclaim(VfioGroup group) {
    group.claimed.ifPresent(
        backing -> {
          backing.ownership().unclaim(iommu);
          iommu.release(backing);
        });
    group.claimed = Optional.empty();
  }

  /**
   * A reference on the group whose hardware this one moves; none for plain and aux mediated
   * devices, nor for a function without a group: wrapped, the attach refuses it; itself, it has no
   * IOMMU.
   */
  private Optional<IommuGroup> acquireBacking(VfioGroup group) {
    return group.group.devices().stream()
        .findFirst()
        .flatMap(
            d ->
                switch (d) {
                  case MediatedDevice m when m.isolation() instanceof Isolation.Backed b ->
                      iommu.acquireGroup(b.function());
                  case MediatedDevice _ -> Optional.empty();
                  default -> iommu.acquireGroup(d);
                });
  }

  private static Holder holder(VfioContainer container, VfioGroup group) {
    return new Holder(container.name, group.devices.stream().map(Device::name).toList());
  }
}
