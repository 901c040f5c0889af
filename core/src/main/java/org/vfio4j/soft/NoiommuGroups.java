// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.vfio.NoiommuGroup;

/** The groups of a {@link SoftMachine} that VFIO made up. The machine's lock covers it. */
final class NoiommuGroups {
  private final Map<Integer, NoiommuGroup> groups = new HashMap<>();

  /** The group of that number. */
  Optional<IommuGroup> find(int number) {
    return Optional.ofNullable(groups.get(number));
  }

  /** Throws IllegalArgumentException if a group goes by that number: all kinds share them. */
  void checkFree(int number) {
    if (groups.containsKey(number)) {
      throw new IllegalArgumentException("group " + number + " exists");
    }
  }

  boolean contains(IommuGroup group) {
    return groups.get(group.id()) == group;
  }

  /** {@code vfio_noiommu_group_alloc}: a group of that number for the device. */
  IommuGroup make(int number, Device device) {
    NoiommuGroup group = new NoiommuGroup(number, device);
    groups.put(number, group);
    return group;
  }

  /** {@code vfio_device_remove_group}: the device's group goes with its driver. */
  Optional<IommuGroup> remove(Device device) {
    Optional<NoiommuGroup> group =
        groups.values().stream().filter(g -> g.devices().contains(device)).findFirst();
    group.ifPresent(g -> groups.remove(g.id()));
    return group.map(g -> g);
  }
}
