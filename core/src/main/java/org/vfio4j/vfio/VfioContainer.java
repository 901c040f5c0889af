// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import org.vfio4j.type1.Container;

/**
 * An open {@code /dev/vfio/vfio} ({@code struct vfio_container}): it lives as long as its
 * descriptor or a group in it. The machine's lock covers it.
 */
final class VfioContainer {
  final String name;

  /** Newest first, the order in which SET_IOMMU attaches. */
  final Deque<VfioGroup> groups = new ArrayDeque<>();

  Optional<Container> iommu = Optional.empty();

  VfioContainer(String name) {
    this.name = name;
  }
}
