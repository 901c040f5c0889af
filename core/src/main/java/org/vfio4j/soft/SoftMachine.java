// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import org.vfio4j.unwind.Attempt;
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
 * ({@link MachineLock}) covers what there is and whose it is, and nothing that takes long.
 */
public final class SoftMachine implements Machine {
  /** The driver that wraps a whole function as a mediated device of type {@code backed}. */
  public static final String WRAPPING_DRIVER = DriverKind.WRAPPER_NAME;

  /** What the wrapping driver offers: the whole function, once. */
  private static final MdevParent.Type BACKED =
      new MdevParent.Type("backed", MdevParent.Kind.BACKED, 1);

  private final KernelProfile profile;
  private final SoftIommu iommu;
  private final Type1Parameters parameters = new Type1Parameters();
  private final VfioCore core;
  private final MachineLock lock;

  private final Map<String, SoftFunction> functions = new LinkedHashMap<>();
  private final Map<String, IommuGroup> groupOf = new HashMap<>();
  private final NoiommuGroups noiommu = new NoiommuGroups();
  private final Map<String, String> drivers = new HashMap<>();
  private final Map<String, MdevParent> parents = new LinkedHashMap<>();
  private final Map<String, MediatedDevice> mdevs = new LinkedHashMap<>();

  /** Open descriptors of each device. */
  private final Map<Device, Integer> open = new HashMap<>();

  /** Devices that somebody waits to unbind or remove, and what comes then. */
  private final Map<Device, Runnable> leaving = new LinkedHashMap<>();

  /** What refused a bind that had to wait: its writer is told, not whoever it waited for. */
  private final Map<Device, RuntimeException> refusedLater = new HashMap<>();

  private int nextGroup;

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
      noiommu.checkFree(id);
      nextGroup = Math.max(nextGroup, id + 1);
      return iommu.addGroup(id, unit, regions);
    }
  }

  /** Adds a function without a driver, in a group or, where no IOMMU serves it, in none. */
  public void addFunction(SoftFunction function, Optional<IommuGroup> group) {
    try (MachineLock.Held _ = lock.hold()) {
      if (functions.putIfAbsent(function.name(), function) != null) {
        throw new IllegalArgumentException(function.name() + " exists");
      }
      group.ifPresent(
          g -> {
            iommu.addDevice(g, function);
            groupOf.put(function.name(), g);
          });
    }
  }

  /** Takes a function away, as hot-unplug does. It must have no driver. */
  public void removeFunction(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = function(name);
      if (drivers.containsKey(name)) {
        throw new IllegalStateException(name + " has a driver");
      }
      functions.remove(name);
      if (groupOf.remove(name) != null) {
        iommu.removeDevice(function);
      }
    }
  }

  /** Has the function's driver offer a type of mediated device. */
  public void offer(String name, MdevParent.Type type) {
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = function(name);
      parents.computeIfAbsent(name, k -> new MdevParent(function)).offer(type);
      if (type.kind() == MdevParent.Kind.AUX) {
        iommu.enableAux(function, true);
      }
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
      return Optional.<Device>ofNullable(functions.get(name))
          .or(() -> Optional.ofNullable(mdevs.get(name)));
    }
  }

  @Override
  public Optional<IommuGroup> groupOf(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return Optional.ofNullable(groupOf.get(name));
    }
  }

  @Override
  public Optional<IommuGroup> group(int number) {
    try (MachineLock.Held _ = lock.hold()) {
      return iommu.groups().stream()
          .filter(g -> g.id() == number)
          .findFirst()
          .or(() -> noiommu.find(number));
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
      return Optional.ofNullable(parents.get(name));
    }
  }

  /** The function's driver. */
  public Optional<String> driver(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      if (mdevs.containsKey(name)) {
        return Optional.of("vfio_mdev");
      }
      return Optional.ofNullable(drivers.get(function(name).name()));
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
          .filter(f -> group.equals(groupOf.get(f.name())))
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
    try (MachineLock.Held _ = lock.hold()) {
      SoftFunction function = function(name);
      return unbind(function, () -> probe(function, driver));
    }
  }

  /**
   * What refused the latest bind of a function that had to wait, a {@link VfioException} or a
   * {@link KernelBugException}; empty while it waits, where it was done, and after the next one.
   */
  public Optional<RuntimeException> refusedLater(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return Optional.ofNullable(refusedLater.get(function(name)));
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
      SoftFunction function = function(name);
      Optional<IommuGroup> group = groupOf(name);
      DriverKind kind = DriverKind.of(driver, function.bridge());
      if (drivers.containsKey(name) || (kind.registersWithVfio() && group.isEmpty())) {
        throw new IllegalArgumentException(name + " cannot have " + driver);
      }
      if (kind.registersWithVfio()) {
        core.register(group.orElseThrow(), function);
      } else if (kind == DriverKind.HOST) {
        iommu.bindHostDriver(function);
      }
      drivers.put(name, driver);
      if (kind == DriverKind.WRAPPER) {
        offer(name, BACKED);
      }
    }
  }

  /** Unbinds the driver, if there is one; false if that waits for a user. */
  public boolean unbind(String name) {
    try (MachineLock.Held _ = lock.hold()) {
      return unbind(function(name), () -> {});
    }
  }

  private boolean unbind(SoftFunction function, Runnable then) {
    refusedLater.remove(function);
    if (!departs(function)) {
      leaving.put(function, () -> unbindNow(function, then));
      return false;
    }
    unbindNow(function, then);
    return true;
  }

  private void unbindNow(SoftFunction function, Runnable then) {
    noiommu.remove(function).ifPresent(g -> groupOf.remove(function.name(), g));
    if (drivers.remove(function.name()) != null) {
      iommu.unbindHostDriver(function);
      parents.remove(function.name());
      iommu.enableAux(function, false);
    }
    then.run();
  }

  private void probe(SoftFunction function, String driver) {
    DriverKind kind = DriverKind.of(driver, function.bridge());
    Optional<IommuGroup> group = groupOf(function.name());
    switch (kind) {
      case VFIO, WRAPPER -> {
        checkVfio(function, group.isPresent() || withoutIommu(function, kind), driver);
        core.register(group.orElseGet(() -> makeUp(function)), function);
      }
      case HOST -> {
        group.ifPresent(this::checkNotLive);
        iommu.bindHostDriver(function);
      }
      case STUB -> {}
    }
    drivers.put(function.name(), driver);
    if (kind == DriverKind.WRAPPER) {
      offer(function.name(), BACKED);
    }
  }

  /**
   * Whether VFIO offers a function that is in no group ({@code vfio_group_find_or_alloc}). Nobody
   * can wrap one: the IOMMU is what a wrapped function shares.
   */
  private boolean withoutIommu(SoftFunction function, DriverKind kind) {
    boolean elsewhere =
        functions.values().stream()
            .map(f -> groupOf(f.name()))
            .anyMatch(g -> g.isPresent() && !noiommu.contains(g.get()));
    return kind == DriverKind.VFIO
        && groupOf(function.name()).isEmpty()
        && core.parameters().unsafeNoiommu()
        && (!elsewhere || profile.noiommuBesideIommu());
  }

  private IommuGroup makeUp(SoftFunction function) {
    IommuGroup group = noiommu.make(nextGroup++, function);
    groupOf.put(function.name(), group);
    return group;
  }

  private static void checkVfio(SoftFunction function, boolean grouped, String driver) {
    if (function.bridge() || !grouped) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "%s cannot take %s: %s"
              .formatted(driver, function.name(), grouped ? "a bridge" : "it is in no IOMMU group"),
          function.name());
    }
    if (function.virtualFunctions() > 0) {
      throw new VfioException(
          Errno.EBUSY,
          Reason.DEVICE_BUSY,
          "%s has %d virtual functions enabled"
              .formatted(function.name(), function.virtualFunctions()),
          function.name());
    }
  }

  /** Before DMA ownership the kernel finds a host driver in a live group too late to refuse it. */
  private void checkNotLive(IommuGroup group) {
    if (!profile.ownership() && core.contained(group)) {
      throw new KernelBugException("vfio_iommu_group_notifier: host driver in a live group");
    }
  }

  /**
   * Makes a mediated device; it gets a group of its own.
   *
   * @throws VfioException ENODEV, ENOENT (no such type), EEXIST, ENOSPC (no instance left)
   */
  public MediatedDevice createMdev(String parent, String type, String uuid) {
    try (MachineLock.Held _ = lock.hold()) {
      return createMdev(parent, type, uuid, nextGroup);
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
      if (leaving.containsKey(function(parent))) {
        throw new VfioException(
            Errno.ENODEV, Reason.DEVICE_BUSY, "the driver of " + parent + " is leaving", parent);
      }
      MdevParent offers =
          parent(function(parent).name())
              .orElseThrow(
                  () ->
                      new VfioException(
                          Errno.ENOENT,
                          Reason.BAD_ARGUMENT,
                          parent + " offers no mediated devices",
                          parent));
      if (mdevs.containsKey(uuid)) {
        throw new VfioException(Errno.EEXIST, Reason.BAD_ARGUMENT, uuid + " exists", uuid);
      }
      try (Attempt attempt = new Attempt()) {
        MediatedDevice device = offers.create(type, uuid);
        attempt.undo(() -> offers.remove(device));
        IommuGroup group = addGroup(groupId, IommuUnit.NONE, List.of());
        attempt.keep();
        iommu.addDevice(group, device);
        groupOf.put(uuid, group);
        mdevs.put(uuid, device);
        core.register(group, device);
        return device;
      }
    }
  }

  /** Removes a mediated device; false if that waits for a user. ENODEV if there is none. */
  public boolean removeMdev(String uuid) {
    try (MachineLock.Held _ = lock.hold()) {
      MediatedDevice device = mdevs.get(uuid);
      if (device == null) {
        throw new VfioException(Errno.ENODEV, Reason.NO_GROUP, "no mdev " + uuid, uuid);
      }
      if (!departs(device)) {
        leaving.put(device, () -> removeNow(device));
        return false;
      }
      removeNow(device);
      return true;
    }
  }

  private void removeNow(MediatedDevice device) {
    leaving.remove(device);
    mdevs.remove(device.name());
    groupOf.remove(device.name());
    iommu.removeDevice(device);
    parent(device.parent().name()).ifPresent(p -> p.remove(device));
  }

  /** Mediated devices, oldest first. */
  public List<MediatedDevice> mdevs() {
    try (MachineLock.Held _ = lock.hold()) {
      return List.copyOf(mdevs.values());
    }
  }

  /** Functions and mediated devices that wait for a user before they can go. */
  public List<String> waiting() {
    try (MachineLock.Held _ = lock.hold()) {
      return leaving.keySet().stream().map(Device::name).toList();
    }
  }

  /**
   * Takes the device from VFIO, after those that its driver made of it, one after another. False if
   * a user keeps one of them.
   */
  private boolean departs(Device device) {
    for (MediatedDevice child : children(device)) {
      if (!departs(child)) {
        return false;
      }
      removeNow(child);
    }
    return groupOf(device.name()).map(g -> core.unregister(g, device, isOpen(device))).orElse(true);
  }

  /** What the parent's driver removes when it leaves ({@code mdev_unregister_parent}). */
  private List<MediatedDevice> children(Device parent) {
    return drivers.containsKey(parent.name())
        ? mdevs.values().stream().filter(m -> m.parent().equals(parent)).toList()
        : List.of();
  }

  private boolean isOpen(Device device) {
    return open.getOrDefault(device, 0) > 0;
  }

  @Override
  public void checkOption(Device device, String option) {
    if (profile.removalHidesDevice() && leaving.containsKey(device)) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.DEVICE_NOT_IN_GROUP,
          device.name() + " is being unbound",
          device.name());
    }
    VfToken.check(this, device, option);
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
      open.merge(device, 1, Integer::sum);
      return new SoftDevice(this, device);
    }
  }

  void deviceClosed(Device device) {
    try (MachineLock.Held _ = lock.hold()) {
      open.computeIfPresent(device, (k, n) -> n == 1 ? null : n - 1);
    }
  }

  @Override
  public void letGo() {
    for (Map.Entry<Device, Runnable> each : new ArrayList<>(leaving.entrySet())) {
      Device device = each.getKey();
      if (leaving.containsKey(device) && departs(device)) {
        leaving.remove(device);
        finish(device, each.getValue());
      }
    }
  }

  private void finish(Device device, Runnable waited) {
    try {
      waited.run();
    } catch (VfioException | KernelBugException refused) {
      refusedLater.put(device, refused);
    }
  }
}
