// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.unwind.Attempt;
import org.vfio4j.vfio.VfioCore;

/**
 * The parents of a {@link SoftMachine} and their mediated devices ({@code
 * drivers/vfio/mdev/mdev_core.c}). Each device has a group of its own and the one driver that there
 * is for its kind, so that it is VFIO's from the first moment. The machine's lock covers it.
 */
final class MdevBus {
  /** The driver of every mediated device. */
  static final String DRIVER = "vfio_mdev";

  private final SoftIommu iommu;
  private final VfioCore core;
  private final DeviceGroups groups;
  private final Map<String, MdevParent> parents = new LinkedHashMap<>();
  private final Map<String, MediatedDevice> devices = new LinkedHashMap<>();

  MdevBus(SoftIommu iommu, VfioCore core, DeviceGroups groups) {
    this.iommu = iommu;
    this.core = core;
    this.groups = groups;
  }

  /** The function's driver offers a type. */
  void offer(SoftFunction function, MdevParent.Type type) {
    parents.computeIfAbsent(function.name(), k -> new MdevParent(function)).offer(type);
    if (type.kind() == MdevParent.Kind.AUX) {
      iommu.enableAux(function, true);
    }
  }

  /** {@code mdev_unregister_parent}, when the devices of the function are gone. */
  void unregisterParent(SoftFunction function) {
    parents.remove(function.name());
    iommu.enableAux(function, false);
  }

  /** The parent that a function is, if it offers a type. */
  Optional<MdevParent> parent(String function) {
    return Optional.ofNullable(parents.get(function));
  }

  /** The device of that UUID. */
  Optional<MediatedDevice> find(String uuid) {
    return Optional.ofNullable(devices.get(uuid));
  }

  /** All devices, oldest first. */
  List<MediatedDevice> devices() {
    return List.copyOf(devices.values());
  }

  /**
   * Makes a device, in a group of that number.
   *
   * @throws VfioException ENOENT (no such type), EEXIST, ENOSPC (no instance left)
   * @throws IllegalArgumentException if the number is taken; nothing has been made then
   */
  MediatedDevice create(SoftFunction parent, String type, String uuid, int groupId) {
    MdevParent offers =
        parent(parent.name())
            .orElseThrow(
                () ->
                    new VfioException(
                        Errno.ENOENT,
                        Reason.BAD_ARGUMENT,
                        parent.name() + " offers no mediated devices",
                        parent.name()));
    if (devices.containsKey(uuid)) {
      throw new VfioException(Errno.EEXIST, Reason.BAD_ARGUMENT, uuid + " exists", uuid);
    }
    try (Attempt attempt = new Attempt()) {
      MediatedDevice device = offers.create(type, uuid);
      attempt.undo(() -> offers.remove(device));
      IommuGroup group = groups.add(groupId, IommuUnit.NONE, List.of());
      attempt.keep();
      groups.put(group, device);
      devices.put(uuid, device);
      core.register(group, device);
      return device;
    }
  }

  /** The device is gone, and its parent has its instance back. VFIO must not have it any more. */
  void remove(MediatedDevice device) {
    devices.remove(device.name());
    groups.remove(device);
    parent(device.parent().name()).ifPresent(p -> p.remove(device));
  }
}
