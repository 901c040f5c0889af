// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
import org.vfio4j.vfio.VfioCore;

/**
 * The functions' drivers of a {@link SoftMachine} ({@code drivers/base/dd.c}): which function has
 * which, what VFIO and the IOMMU have to say to a change, and who waits for a user before he can
 * go, functions and mediated devices alike. The machine's lock covers it.
 */
final class DriverCore {
  /** What the wrapping driver offers: the whole function, once. */
  private static final MdevParent.Type BACKED =
      new MdevParent.Type("backed", MdevParent.Kind.BACKED, 1);

  private final KernelProfile profile;
  private final SoftIommu iommu;
  private final VfioCore core;
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
    this.groups = groups;
    this.mdevs = mdevs;
    this.functions = functions;
  }

  /** The function's driver. */
  Optional<String> driver(SoftFunction function) {
    return Optional.ofNullable(drivers.get(function.name()));
  }

  /** Unbinds the driver, then binds another; see {@link SoftMachine#bind}. */
  boolean bind(SoftFunction function, String driver) {
    return unbind(function, () -> probe(function, driver));
  }

  /** Unbinds the driver, if there is one; false if that waits for a user. */
  boolean unbind(SoftFunction function) {
    return unbind(function, () -> {});
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
    groups.unmake(function);
    if (drivers.remove(function.name()) != null) {
      iommu.unbindHostDriver(function);
      mdevs.unregisterParent(function);
    }
    then.run();
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
  boolean remove(MediatedDevice device) {
    if (!departs(device)) {
      leaving.put(device, () -> removeNow(device));
      return false;
    }
    removeNow(device);
    return true;
  }

  private void removeNow(MediatedDevice device) {
    leaving.remove(device);
    mdevs.remove(device);
  }

  /** Whether somebody waits to unbind or remove the device. */
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

  private boolean isOpen(Device device) {
    return open.getOrDefault(device, 0) > 0;
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
    return groups
        .of(device.name())
        .map(g -> core.unregister(g, device, isOpen(device)))
        .orElse(true);
  }

  /** What the parent's driver removes when it leaves ({@code mdev_unregister_parent}). */
  private List<MediatedDevice> children(Device parent) {
    return drivers.containsKey(parent.name())
        ? mdevs.devices().stream().filter(m -> m.parent().equals(parent)).toList()
        : List.of();
  }

  /** Something was given back: whoever waited only for that goes. */
  void letGo() {
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
