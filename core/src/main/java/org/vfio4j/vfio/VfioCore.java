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
 * is in which container, and what that takes. The machine's lock covers it, and it is the machine
 * that tells which devices have a VFIO driver.
 */
public final class VfioCore {
  private final KernelProfile profile;
  private final Iommu iommu;
  private final Type1Parameters parameters;
  private final Events events;
  private final VfioParameters vfio = new VfioParameters();
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

  /** The module parameters of vfio. */
  public VfioParameters parameters() {
    return vfio;
  }

  Optional<VfioGroup> find(IommuGroup group) {
    return Optional.ofNullable(groups.get(group));
  }

  /** The members of a group that have a VFIO driver; none for a group that VFIO does not offer. */
  public Set<Device> registered(IommuGroup group) {
    return find(group).map(g -> Set.copyOf(g.devices)).orElse(Set.of());
  }

  /** {@code vfio_register_group_dev}: the device has a VFIO driver now. */
  public void register(IommuGroup group, Device device) {
    groups.computeIfAbsent(group, VfioGroup::new).devices.add(device);
  }

  /**
   * The device's driver is going: {@code vfio_unregister_group_dev}, unless that has to wait.
   *
   * @param open whether somebody has the device open
   * @return whether it is done
   */
  public boolean unregister(IommuGroup group, Device device, boolean open) {
    Optional<VfioGroup> there = find(group).filter(g -> g.devices.contains(device));
    if (there.isPresent() && waits(there.get(), open)) {
      return false;
    }
    there.ifPresent(g -> unregister(g, device));
    return true;
  }

  /**
   * {@code vfio_unregister_group_dev}, when nobody has the device open any more. The last device
   * takes the group out of its container where the profile does not wait for that.
   */
  private void unregister(VfioGroup group, Device device) {
    group.devices.remove(device);
    if (group.devices.isEmpty()) {
      if (group.container.isPresent()) {
        leave(group);
      }
      group.dead = true;
      groups.remove(group.group, group);
    }
  }

  /**
   * Whether a user keeps the device: {@link #unregister} would have to wait for him.
   *
   * @param open whether somebody has the device open
   */
  public boolean waits(IommuGroup group, Device device, boolean open) {
    return find(group)
        .filter(g -> g.devices.contains(device))
        .map(g -> waits(g, open))
        .orElse(false);
  }

  /** Whether the group is in a container. */
  public boolean contained(IommuGroup group) {
    return find(group).flatMap(g -> g.container).isPresent();
  }

  private boolean waits(VfioGroup group, boolean deviceOpen) {
    boolean last = group.devices.size() == 1;
    boolean kept = last && group.container.isPresent() && !profile.forcedDetachOnUnbind();
    return deviceOpen || group.joining || kept;
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
  }

  /** A descriptor of the group or of one of its devices is gone. */
  void closed(VfioGroup group) {
    if (!group.opened() && group.container.isPresent()) {
      leave(group);
    }
  }

  /** Whether nothing of the group, or of the group that backs it, is used by a host driver. */
  boolean viable(VfioGroup group) {
    Optional<IommuGroup> backing = acquireBacking(group);
    backing.ifPresent(iommu::release);
    return backing.map(iommu::viable).orElse(true);
  }

  int status(VfioGroup group) {
    checkAlive(group);
    boolean set = group.container.isPresent();
    boolean viable = profile.ownership() ? set || viable(group) : viable(group);
    return (viable ? 1 : 0) | (set ? 2 : 0);
  }

  /**
   * {@code vfio_container_attach_group} up to the attach: the group is claimed and in the
   * container, which cannot lose its driver any more.
   *
   * @return the driver of a live container: the caller attaches the group to it, without the
   *     machine's lock, and then calls {@link #joined}
   */
  Optional<IommuDriver> setContainer(VfioGroup group, VfioContainer container) {
    Noiommu.checkUnmixed(container, group);
    if (profile.ownership()) {
      claim(group);
    }
    group.container = Optional.of(container);
    container.groups.addFirst(group);
    group.joining = container.iommu.isPresent();
    return container.iommu;
  }

  /** The attach of a group to a live container is over; one that was refused takes all back. */
  void joined(VfioGroup group, boolean attached) {
    group.joining = false;
    if (!attached) {
      abandon(group);
    }
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

  void unsetContainer(VfioGroup group) {
    if (group.container.isEmpty()) {
      throw new VfioException(Errno.EINVAL, Reason.GROUP_STATE, "the group is in no container");
    }
    if (group.deviceFiles > 0) {
      throw new VfioException(
          Errno.EBUSY,
          Reason.USERS_REMAIN,
          "%d device descriptors of the group are open".formatted(group.deviceFiles));
    }
    leave(group);
  }

  /**
   * {@code vfio_ioctl_set_iommu}: all groups or none.
   *
   * @param rawIo whether the caller has CAP_SYS_RAWIO
   */
  void setIommu(VfioContainer container, int number, boolean rawIo) {
    if (container.groups.isEmpty() || container.iommu.isPresent()) {
      String state = container.groups.isEmpty() ? "has no group" : "has an IOMMU";
      throw new VfioException(Errno.EINVAL, Reason.CONTAINER_STATE, "the container " + state);
    }
    IommuDriver driver =
        container.noiommu()
            ? Noiommu.open(number, vfio, rawIo)
            : new IommuDriver.OfType1(type1(container.name, number));
    try (Attempt attempt = new Attempt()) {
      attempt.undo(driver::release);
      for (VfioGroup group : container.groups) {
        driver.attach(group.group);
        attempt.undo(() -> driver.detach(group.group));
      }
      attempt.keep();
    }
    container.iommu = Optional.of(driver);
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

  /** The group leaves its container; the last one takes the IOMMU with it. */
  private void leave(VfioGroup group) {
    group.container.flatMap(c -> c.iommu).ifPresent(c -> c.detach(group.group));
    abandon(group);
  }

  private void abandon(VfioGroup group) {
    VfioContainer container = group.container.orElseThrow();
    container.groups.remove(group);
    group.container = Optional.empty();
    unclaim(group);
    if (container.groups.isEmpty()) {
      container.iommu.ifPresent(IommuDriver::release);
      container.iommu = Optional.empty();
    }
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
