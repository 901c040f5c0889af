// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.DriverKind;
import org.vfio4j.vfio.KernelBugException;
import org.vfio4j.vfio.MachineLock;
import org.vfio4j.vfio.Unregistering;
import org.vfio4j.vfio.VfioCore;

/**
 * The functions' drivers of a {@link SoftMachine} ({@code drivers/base/dd.c}): which function has
 * which, what VFIO and the IOMMU have to say to a change, and who waits for a user before he can
 * go, functions and mediated devices alike. The machine's lock covers it. Where a group has to be
 * taken out of a container first, that is done without the lock: so {@link #bind}, {@link #unbind},
 * {@link #remove} and {@link #letGo} take it themselves, and must be called without it.
 */
final class DriverCore {
  /** What the wrapping driver offers: the whole function, once. */
  private static final MdevParent.Type BACKED =
      new MdevParent.Type(SoftMachine.WRAPPING_TYPE, MdevParent.Kind.BACKED, 1);

  private final KernelProfile profile;
  private final SoftIommu iommu;
  private final VfioCore core;
  private final MachineLock lock;
  private final DeviceGroups groups;
  private final MdevBus mdevs;
  private final Collection<SoftFunction> functions;

  private final Map<String, String> drivers = new HashMap<>();

  /** Open descriptors of each device. */
  private final Map<Device, Integer> open = new HashMap<>();

  /** Devices that somebody waits to unbind or remove, and what comes then. */
  private final Map<Device, Runnable> leaving = new LinkedHashMap<>();

  /** What refused a bind that had to wait: its writer is told, not whoever it waited for. */
  private final Map<Device, RuntimeException> refusedLater = new HashMap<>();

  /** Of a machine with these functions, whatever comes to be in the collection. */
  DriverCore(
      SoftIommu iommu,
      VfioCore core,
      DeviceGroups groups,
      MdevBus mdevs,
      KernelProfile profile,
      Collection<SoftFunction> functions) {
    this.profile = profile;
    this.iommu = iommu;
    this.core = core;
    this.lock = core.lock();
    this.groups = groups;
    this.mdevs = mdevs;
    this.functions = functions;
  }

  /** The function's driver. */
  Optional<String> driver(SoftFunction function) {
    return Optional.ofNullable(drivers.get(function.name()));
  }

  /**
   * Unbinds the driver, then binds another; see {@link SoftMachine#bind}.
   *
   * @param function looked up with the lock held
   */
  boolean bind(Supplier<SoftFunction> function, String driver) {
    return unbind(function, f -> probe(f, driver));
  }

  /** Unbinds the driver, if there is one; false if that waits for a user. */
  boolean unbind(Supplier<SoftFunction> function) {
    return unbind(function, f -> {});
  }

  private boolean unbind(Supplier<SoftFunction> asked, Consumer<SoftFunction> then) {
    SoftFunction function;
    Unregistering step;
    Runnable rest;
    try (MachineLock.Held _ = lock.hold()) {
      function = asked.get();
      rest = () -> unbindNow(function, then);
      refusedLater.remove(function);
      leaving.put(function, rest);
      step = step(function, Optional.of(rest));
    }
    return depart(function, step, Optional.of(rest));
  }

  private void unbindNow(SoftFunction function, Consumer<SoftFunction> then) {
    groups.unmake(function);
    if (drivers.remove(function.name()) != null) {
      iommu.unbindHostDriver(function);
      mdevs.unregisterParent(function);
    }
    then.accept(function);
  }

  /** What refused the latest bind that had to wait; see {@link SoftMachine#refusedLater}. */
  Optional<RuntimeException> refusedLater(SoftFunction function) {
    return Optional.ofNullable(refusedLater.get(function));
  }

  /** The driver that a function has when the machine is first seen; see {@link SoftMachine}. */
  void adopt(SoftFunction function, String driver) {
    Optional<IommuGroup> group = groups.of(function.name());
    DriverKind kind = DriverKind.of(driver, function.bridge());
    if (drivers.containsKey(function.name()) || (kind.registersWithVfio() && group.isEmpty())) {
      throw new IllegalArgumentException(function.name() + " cannot have " + driver);
    }
    if (kind.registersWithVfio()) {
      core.register(group.orElseThrow(), function);
    } else if (kind == DriverKind.HOST) {
      iommu.bindHostDriver(function);
    }
    bound(function, driver, kind);
  }

  private void bound(SoftFunction function, String driver, DriverKind kind) {
    drivers.put(function.name(), driver);
    if (kind == DriverKind.WRAPPER) {
      mdevs.offer(function, BACKED);
    }
  }

  private void probe(SoftFunction function, String driver) {
    DriverKind kind = DriverKind.of(driver, function.bridge());
    Optional<IommuGroup> group = groups.of(function.name());
    switch (kind) {
      case VFIO, WRAPPER -> {
        checkVfio(function, group.isPresent() || withoutIommu(function, kind), driver);
        core.register(group.orElseGet(() -> groups.makeUp(function)), function);
      }
      case HOST -> {
        group.ifPresent(this::checkNotLive);
        iommu.bindHostDriver(function);
      }
      case STUB -> {}
    }
    bound(function, driver, kind);
  }

  /**
   * Whether VFIO offers a function that is in no group ({@code vfio_group_find_or_alloc}). Nobody
   * can wrap one: the IOMMU is what a wrapped function shares.
   */
  private boolean withoutIommu(SoftFunction function, DriverKind kind) {
    boolean elsewhere = functions.stream().anyMatch(groups::served);
    return kind == DriverKind.VFIO
        && groups.of(function.name()).isEmpty()
        && core.parameters().unsafeNoiommu()
        && (!elsewhere || profile.noiommuBesideIommu());
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

  /** Removes a mediated device; false if that waits for a user. */
  boolean remove(Supplier<MediatedDevice> asked) {
    MediatedDevice device;
    Unregistering step;
    try (MachineLock.Held _ = lock.hold()) {
      device = asked.get();
      leaving.put(device, () -> removeNow(device));
      step = step(device, Optional.empty());
    }
    return depart(device, step, Optional.empty());
  }

  private void removeNow(MediatedDevice device) {
    leaving.remove(device);
    mdevs.remove(device);
  }

  /** Whether somebody is about to unbind or remove the device, or waits to. */
  boolean leaves(Device device) {
    return leaving.containsKey(device);
  }

  /** Devices that wait for a user before they can go. */
  List<String> waiting() {
    return leaving.keySet().stream().map(Device::name).toList();
  }

  /** One descriptor more of the device. */
  void opened(Device device) {
    open.merge(device, 1, Integer::sum);
  }

  /** One descriptor less of the device. */
  void closed(Device device) {
    open.computeIfPresent(device, (k, n) -> n == 1 ? null : n - 1);
  }

  /** Whether a user has one of the function's virtual ones open. */
  boolean usesVirtual(String physical) {
    return open.keySet().stream()
        .anyMatch(
            d ->
                d instanceof SoftFunction f
                    && f.physicalFunction().filter(physical::equals).isPresent());
  }

  private boolean isOpen(Device device) {
    return open.getOrDefault(device, 0) > 0;
  }

  /**
   * Takes a device that leaves as far on its way as it comes, when the first step has been made.
   *
   * @param mine what comes then for the caller, who is told what that is refused
   * @return whether it is gone
   */
  private boolean depart(Device device, Unregistering first, Optional<Runnable> mine) {
    if (!(first instanceof Unregistering.Forced)) {
      return first instanceof Unregistering.Done;
    }
    Unregistering step = first;
    try {
      while (step instanceof Unregistering.Forced forced) {
        forced.detach();
        try (MachineLock.Held _ = lock.hold()) {
          forced.detached();
          step = step(device, mine);
        }
      }
    } finally {
      letGo();
    }
    return step instanceof Unregistering.Done;
  }

  /** With the lock held. A device that is gone has what comes then done, unless somebody has. */
  private Unregistering step(Device device, Optional<Runnable> mine) {
    if (!leaving.containsKey(device)) {
      return new Unregistering.Done();
    }
    Unregistering step = departs(device);
    if (step instanceof Unregistering.Done) {
      Optional.ofNullable(leaving.remove(device)).ifPresent(then -> finish(device, then, mine));
    }
    return step;
  }

  /**
   * Takes the device from VFIO, after those that its driver made of it, one after another, until
   * one of them cannot go yet.
   */
  private Unregistering departs(Device device) {
    for (MediatedDevice child : children(device)) {
      Unregistering step = departs(child);
      if (!(step instanceof Unregistering.Done)) {
        return step;
      }
      removeNow(child);
    }
    return groups
        .of(device.name())
        .map(g -> core.unregister(g, device, isOpen(device)))
        .orElseGet(Unregistering.Done::new);
  }

  /** What the parent's driver removes when it leaves ({@code mdev_unregister_parent}). */
  private List<MediatedDevice> children(Device parent) {
    return drivers.containsKey(parent.name())
        ? mdevs.devices().stream().filter(m -> m.parent().equals(parent)).toList()
        : List.of();
  }

  /** Something was given back: whoever waited only for that goes. */
  void letGo() {
    List<Device> waiting;
    try (MachineLock.Held _ = lock.hold()) {
      waiting = List.copyOf(leaving.keySet());
    }
    for (Device device : waiting) {
      Unregistering step;
      try (MachineLock.Held _ = lock.hold()) {
        step = step(device, Optional.empty());
      }
      depart(device, step, Optional.empty());
    }
  }

  private void finish(Device device, Runnable then, Optional<Runnable> mine) {
    if (mine.filter(then::equals).isPresent()) {
      then.run();
      return;
    }
    try {
      then.run();
    } catch (VfioException | KernelBugException refused) {
      refusedLater.put(device, refused);
    }
  }
}
