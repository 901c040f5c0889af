// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.util.ArrayList;
import java.util.List;
import org.vfio4j.attack.Ledger.Box;
import org.vfio4j.attack.Ledger.Vgroup;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.type1.Container;

/** Everything of the engine that can be seen, to compare before and after a refused call. */
final class Snapshot {
  private Snapshot() {}

  static List<Object> of(World world, Ledger ledger) {
    List<Object> all = new ArrayList<>();
    SoftIommu iommu = world.machine.iommu();
    all.add(iommu.census());
    for (IommuGroup group : world.physical.values()) {
      all.add(iommu.domainOf(group));
      all.add(group.ownership().who());
    }
    for (Box box : ledger.boxes) {
      if (box.live()) {
        add(all, box);
      }
    }
    for (SoftVfio process : world.processes) {
      all.add(process.descriptors());
      all.add(process.memory().lockedPages());
    }
    for (int f = 0; f < World.FIRST_MDEV; f++) {
      all.add(world.machine.driver(World.NAMES.get(f)));
    }
    all.add(world.machine.mdevs());
    all.add(world.machine.waiting());
    return all;
  }

  private static void add(List<Object> all, Box box) {
    Container container = box.container();
    all.add(container.groups());
    all.add(container.info());
    all.add(container.mappings());
    all.add(container.coherent());
    for (Vgroup g : box.groups) {
      all.add(container.domainIndex(g.group));
      all.add(container.domainOf(g.group));
    }
  }
}
