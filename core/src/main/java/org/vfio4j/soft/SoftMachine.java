// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Type1Parameters;
import org.vfio4j.vfio.DeviceFile;
import org.vfio4j.vfio.DriverKind;
import org.vfio4j.vfio.KernelBugException;
import org.vfio4j.vfio.Machine;
import org.vfio4j.vfio.MachineLock;
import org.vfio4j.vfio.VfioCore;
import org.vfio4j.vfio.VfioParameters;

/**
 * A machine in software: functions and their drivers, parents and mediated devices, an embedded
 * IOMMU, and the VFIO core over them. Processes are made by {@link #process}. Thread-safe: one lock
 * ({@link MachineLock}), which is taken here, covers what there is and whose it is, and nothing
 * that takes long.
 */
public final class SoftMachine implements Machine {
  /** The driver that wraps a whole function as a mediated device of {@link #WRAPPING_TYPE}. */
  public static final String WRAPPING_DRIVER = DriverKind.WRAPPER_NAME;

  /** The type of mediated device that the wrapping driver offers. */
  public static final String WRAPPING_TYPE = "backed";

  private final KernelProfile profile;
  private final SoftIommu iommu;
  private final Type1Parameters parameters = new Type1Parameters();
  private final VfioCore core;
  private final MachineLock lock;

  private final Map<String, SoftFunction> functions = new LinkedHashMap<>();
  private final DeviceGroups groups;
  private final MdevBus mdevs;
  private final DriverCore drivers;
  private final VfToken tokens = new VfToken(this);

  /** An empty machine that answers as a kernel of the profile. */
  public SoftMachine(KernelProfile profile) {
    this(profile, UnaryOperator.identity());
  }

  /**
   * An empty machine whose VFIO core sees the IOMMU through something of the caller's, which may
   * watch the calls and have some of them fail.
   */
  public SoftMachine(KernelProfile profile, UnaryOperator<Iommu> between) {
    this.profile = profile;
    this.iommu = new SoftIommu(profile);
    this.core = new VfioCore(profile, between.apply(iommu), parameters);
    this.lock = core.lock();
    this.groups = new DeviceGroups(iommu);
    this.mdevs = new MdevBus(iommu, core, groups);
    this.drivers = new DriverCore(iommu, core, groups, mdevs, profile, functions.values());
  }

  @Override
  public KernelProfile profile() {
    return profile;
  }

  /** Its IOMMU. */
  public SoftIommu iommu() {
    return iommu;
  }

  /** The module parameters of vfio_iommu_type1. */
  public Type1Parameters parameters() {
    return parameters;
  }

  /** The module parameters of vfio. */
  public VfioParameters vfioParameters() {
    return core.parameters();
  }

  @Override
  public VfioCore core() {
    return core;
  }

  /** Adds an empty IOMMU group. */
  public IommuGroup addGroup(int id, IommuUnit unit, List<ReservedRegion> regions) {
    try (MachineLock.Held _ = lock.hold()) {
      return groups.add(id, unit, regions);
    }
  }

  /** Adds a function without a driver, in a group or, where no IOMMU serves it, in none. */
  public void addFunction(SoftFunction function, Optional<IommuGroup> group) {
    try (MachineLock.Held _ = lock.hold()) {
      if (functions.putIfAbsent(function.name(), function) != null) {
        throw new IllegalArgumentException(function.name() + " exists");
      }
      group.ifPresent(g -> groups.put(g, function));
    }
  }

  /** Takes a function away, as hot-unplug does. It must have no driver. */
  public void removeFunction(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = function(name);
      if (drivers.driver(function).isPresent()) {
        throw new IllegalStateException(name + " has a driver");
      }
      functions.remove(name);
      groups.remove(function);
    }
  }

  /** Has the function's driver offer a type of mediated device. */
  public void offer(String name, MdevParent.Type type) {
    try (MachineLock.Held _ = lock.hold()) {
      mdevs.offer(function(name), type);
    }
  }

  /** The functions, in the order they were added. */
  public List<SoftFunction> functions() {
    try (MachineLock.Held _ = lock.hold()) {
      return List.copyOf(functions.values());
    }
  }

  /** The function of that address; ENODEV if there is none. */
  public SoftFunction function(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = functions.get(name);
      if (function == null) {
        throw new VfioException(
            Errno.ENODEV, Reason.NO_GROUP, "no device " + name + " in this machine", name);
      }
      return function;
    }
  }

  @Override
  public Optional<Device> device(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return Optional.<Device>ofNullable(functions.get(name)).or(() -> mdevs.find(name));
    }
  }

  @Override
  public Optional<IommuGroup> groupOf(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return groups.of(name);
    }
  }

  @Override
  public Optional<IommuGroup> group(int number) {
    try (MachineLock.Held _ = lock.hold()) {
      return groups.find(number);
    }
  }

  @Override
  public void refresh(IommuGroup group) {
    // Whoever binds a driver here registers the device at once.
  }

  @Override
  public void openGroup(IommuGroup group) {
    // Nobody but the processes of this machine could have it, and the core knows them.
  }

  @Override
  public void closeGroup(IommuGroup group) {
    // As above.
  }

  /** The parent that a function is, if it offers a type. */
  public Optional<MdevParent> parent(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return mdevs.parent(name);
    }
  }

  /** The function's driver. */
  public Optional<String> driver(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return mdevs.find(name).isPresent()
          ? Optional.of(MdevBus.DRIVER)
          : drivers.driver(function(name));
    }
  }

  /**
   * The function's driver as sysfs shows it: the link goes before the driver's leaving waits for a
   * user ({@code __device_release_driver}).
   */
  public Optional<String> driverLink(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return driver(name).filter(d -> !waiting().contains(name));
    }
  }

  /** Members of a group whose drivers do DMA for the host: they make it not viable. */
  public List<SoftFunction> hostDriven(IommuGroup group) {
    try (MachineLock.Held _ = lock.hold()) {
      return functions.values().stream()
          .filter(f -> groups.of(f.name()).equals(Optional.of(group)))
          .filter(
              f ->
                  driver(f.name())
                      .filter(d -> DriverKind.of(d, f.bridge()) == DriverKind.HOST)
                      .isPresent())
          .toList();
    }
  }

  /** A process on this machine, with no descriptor open. */
  public SoftVfio process(String name) {
    return new SoftVfio(name, this);
  }

  /**
   * Binds a driver, after unbinding the one that is there.
   *
   * @return false if the unbind waits for a user; it and the bind are done when he is gone, and
   *     {@link #refusedLater} tells whether the bind was refused then
   * @throws VfioException ENODEV for an unknown function, EBUSY if the group belongs to a user and
   *     the driver would do DMA, or the function has virtual functions; EINVAL if VFIO cannot take
   *     it. The function has no driver then.
   * @throws KernelBugException on 5.10, for a host driver into a live group
   */
  public boolean bind(String name, String driver) {
    return drivers.bind(() -> function(name), driver);
  }

  /**
   * What refused the latest bind of a function that had to wait, a {@link VfioException} or a
   * {@link KernelBugException}; empty while it waits, where it was done, and after the next one.
   */
  public Optional<RuntimeException> refusedLater(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return drivers.refusedLater(function(name));
    }
  }

  /**
   * Gives a function the driver that it has when the machine is first seen, however it got it: a
   * physical function on vfio-pci may have virtual ones.
   *
   * @throws IllegalArgumentException if it has a driver, or VFIO cannot have taken it
   */
  public void adopt(String name, String driver) {
    try (MachineLock.Held _ = lock.hold()) {
      drivers.adopt(function(name), driver);
    }
  }

  /** Unbinds the driver, if there is one; false if that waits for a user. */
  public boolean unbind(String name) {
    return drivers.unbind(() -> function(name));
  }

  /**
   * Makes a mediated device; it gets a group of its own.
   *
   * @throws VfioException ENODEV, ENOENT (no such type), EEXIST, ENOSPC (no instance left)
   */
  public MediatedDevice createMdev(String parent, String type, String uuid) {
    try (MachineLock.Held _ = lock.hold()) {
      return createMdev(parent, type, uuid, groups.next());
    }
  }

  /**
   * Makes a mediated device whose group has a given number.
   *
   * @throws VfioException as {@link #createMdev(String, String, String)}
   * @throws IllegalArgumentException if the number is taken; nothing has been made then
   */
  public MediatedDevice createMdev(String parent, String type, String uuid, int groupId) {
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = function(parent);
      if (drivers.leaves(function)) {
        throw new VfioException(
            Errno.ENODEV, Reason.DEVICE_BUSY, "the driver of " + parent + " is leaving", parent);
      }
      return mdevs.create(function, type, uuid, groupId);
    }
  }

  /** Removes a mediated device; false if that waits for a user. ENODEV if there is none. */
  public boolean removeMdev(String uuid) {
    return drivers.remove(
        () ->
            mdevs
                .find(uuid)
                .orElseThrow(
                    () ->
                        new VfioException(Errno.ENODEV, Reason.NO_GROUP, "no mdev " + uuid, uuid)));
  }

  /** Mediated devices, oldest first. */
  public List<MediatedDevice> mdevs() {
    try (MachineLock.Held _ = lock.hold()) {
      return mdevs.devices();
    }
  }

  /** Functions and mediated devices that wait for a user, or the hardware, before they can go. */
  public List<String> waiting() {
    try (MachineLock.Held _ = lock.hold()) {
      return drivers.waiting();
    }
  }

  /** Says that a function can have virtual ones, and so takes a token, where none is on. */
  public void physical(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      tokens.physical(name);
    }
  }

  /**
   * Sets the token of a physical function, as its user can ({@code
   * VFIO_DEVICE_FEATURE_PCI_VF_TOKEN}).
   *
   * @param name the physical function
   * @param token what users of its virtual functions then have to give
   */
  public void vfToken(String name, UUID token) {
    try (MachineLock.Held _ = lock.hold()) {
      tokens.set(name, token);
    }
  }

  /** Whether a user has one of the function's virtual ones open. */
  boolean usesVirtual(String physical) {
    return drivers.usesVirtual(physical);
  }

  @Override
  public void checkOption(Device device, String option) {
    if (profile.removalHidesDevice() && drivers.leaves(device)) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.DEVICE_NOT_IN_GROUP,
          device.name() + " is being unbound",
          device.name());
    }
    try (MachineLock.Held _ = lock.hold()) {
      tokens.check(device, option);
    }
  }

  @Override
  public DeviceFile openDevice(IommuGroup group, Device device, String asked) {
    try (MachineLock.Held _ = lock.hold()) {
      if (driver(device.name()).equals(Optional.of(DriverKind.WRAPPER_NAME))) {
        throw new VfioException(
            Errno.ENODEV,
            Reason.FUNCTION_WRAPPED,
            device.name() + " is wrapped as a mediated device: it cannot be opened itself",
            device.name());
      }
      drivers.opened(device);
      return new SoftDevice(this, device);
    }
  }

  void deviceClosed(Device device) {
    try (MachineLock.Held _ = lock.hold()) {
      drivers.closed(device);
    }
  }

  @Override
  public void letGo() {
    drivers.letGo();
  }
}
