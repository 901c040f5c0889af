// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;

/**
 * The groups of a {@link SoftMachine}, the IOMMU's and those that VFIO made up, and which device is
 * in which. The machine's lock covers it.
 */
final class DeviceGroups {
  private final SoftIommu iommu;
  private final NoiommuGroups noiommu = new NoiommuGroups();
  private final Map<String, IommuGroup> groupOf = new HashMap<>();
  private int next;

  DeviceGroups(SoftIommu iommu) {
    this.iommu = iommu;
  }

  /** The number of the next group that nobody chooses one for. */
  int next() {
    return next;
  }

  /** An empty group of the IOMMU; IllegalArgumentException if the number is taken. */
  IommuGroup add(int id, IommuUnit unit, List<ReservedRegion> regions) {
    noiommu.checkFree(id);
    next = Math.max(next, id + 1);
    return iommu.addGroup(id, unit, regions);
  }

  /** {@code vfio_noiommu_group_alloc}: a group for a device that no IOMMU serves. */
  IommuGroup makeUp(Device device) {
    IommuGroup group = noiommu.make(next++, device);
    groupOf.put(device.name(), group);
    return group;
  }

  /** Ends {@link #makeUp}, where that was done for the device. */
  void unmake(Device device) {
    noiommu.remove(device).ifPresent(g -> groupOf.remove(device.name(), g));
  }

  /** The device is in the group, which is one of the IOMMU's. */
  void put(IommuGroup group, Device device) {
    iommu.addDevice(group, device);
    groupOf.put(device.name(), group);
  }

  /** The device is in no group, and gone for the IOMMU. */
  void remove(Device device) {
    if (groupOf.remove(device.name()) != null) {
      iommu.removeDevice(device);
    }
  }

  /** The group of a device. */
  Optional<IommuGroup> of(String device) {
    return Optional.ofNullable(groupOf.get(device));
  }

  /** Whether the device is in a group of the IOMMU. */
  boolean served(Device device) {
    return of(device.name()).filter(g -> !noiommu.contains(g)).isPresent();
  }

  /** The group of that number. */
  Optional<IommuGroup> find(int number) {
    return iommu.groups().stream()
        .filter(g -> g.id() == number)
        .findFirst()
        .or(() -> noiommu.find(number));
  }
}
