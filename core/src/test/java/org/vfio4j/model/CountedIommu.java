// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

import java.util.IdentityHashMap;
import java.util.Map;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.testing.WatchedIommu;

/** An IOMMU that counts what is done to its hardware. */
final class CountedIommu extends WatchedIommu {
  /** Of each group, one number, which changes in place. */
  private final Map<IommuGroup, int[]> attaches = new IdentityHashMap<>();

  private int aux;
  private int touched;

  CountedIommu(Iommu real) {
    super(real);
  }

  /** Attaches of a group that were not undone. */
  int attaches(IommuGroup group) {
    return count(group)[0];
  }

  private int[] count(Object group) {
    return attaches.computeIfAbsent((IommuGroup) group, g -> new int[1]);
  }

  /** Attaches of PASIDs that were not undone. */
  int aux() {
    return aux;
  }

  /** Attaches and detaches of groups ever. */
  int touched() {
    return touched;
  }

  @Override
  protected void after(Call call, Object on) {
    switch (call) {
      case ATTACH, DETACH -> {
        count(on)[0] += call == Call.ATTACH ? 1 : -1;
        touched++;
      }
      case ATTACH_AUX -> aux++;
      case DETACH_AUX -> aux--;
      default -> {}
    }
  }
}
