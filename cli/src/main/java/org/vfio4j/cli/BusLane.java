// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import org.vfio4j.host.PciFunction;

/**
 * A root bus in a picture, or any bus where the source does not say what leads to it.
 *
 * @param domain its domain
 * @param bus its number
 * @param groups the groups that are drawn
 * @param folded functions of other groups, which are counted only
 */
record BusLane(int domain, int bus, List<GroupNode> groups, List<PciFunction> folded) {
  BusLane {
    groups = List.copyOf(groups);
    folded = List.copyOf(folded);
  }

  /** Whether no group of it is drawn. */
  boolean isFolded() {
    return groups.isEmpty();
  }
}
