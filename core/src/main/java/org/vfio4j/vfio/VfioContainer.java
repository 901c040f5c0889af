// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * An open {@code /dev/vfio/vfio} ({@code struct vfio_container}): it lives as long as its
 * descriptor or a group in it. The machine's lock covers it.
 */
final class VfioContainer {
  final String name;

  /** Newest first, the order in which SET_IOMMU attaches. */
  final Deque<VfioGroup> groups = new ArrayDeque<>();

  /** What SET_IOMMU gave it. */
  Optional<IommuDriver> iommu = Optional.empty();

  VfioContainer(String name) {
    this.name = name;
  }

  /**
   * A group is on its way into it or out of it, or SET_IOMMU attaches its groups, with the
   * machine's lock left. Who wants to do one of these waits, as for {@code group_lock} of the
   * kernel's container. What is in {@link #groups} and {@link #iommu} stays meanwhile.
   */
  boolean busy;

  /** Whether its groups have no IOMMU; all have one, or none has. Not while it is empty. */
  boolean noiommu() {
    return !groups.isEmpty() && groups.getFirst().noiommu();
  }
}
