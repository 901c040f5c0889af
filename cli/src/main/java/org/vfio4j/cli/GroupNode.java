// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.vfio4j.host.PciFunction;

/**
 * An IOMMU group in the tree of a picture: below it hang the groups that its bridges lead to. A
 * function that is in no group, or in one that is not known, stands for itself.
 *
 * @param group its number
 * @param via bridges above it, each alone in its group, that lead to nothing else
 * @param bridges its bridges
 * @param shown functions that are drawn, each for itself
 * @param folded functions that are counted only
 * @param others members that are no PCI functions
 * @param children the groups below
 */
record GroupNode(
    Optional<Integer> group,
    List<PciFunction> via,
    List<PciFunction> bridges,
    List<PciFunction> shown,
    List<PciFunction> folded,
    List<String> others,
    List<GroupNode> children) {

  /** So many bridges can be named beside the only device of a group. */
  private static final int FEW = 2;

  GroupNode {
    via = List.copyOf(via);
    bridges = List.copyOf(bridges);
    shown = List.copyOf(shown);
    folded = List.copyOf(folded);
    others = List.copyOf(others);
    children = List.copyOf(children);
  }

  /** Whether it is drawn as one device, without a frame around it. */
  boolean single() {
    return shown.size() == 1 && endpoints() == 1 && bridges.size() <= FEW;
  }

  /** Whether it has bridges only, which lead to several groups. */
  boolean port() {
    return shown.isEmpty() && folded.isEmpty() && others.isEmpty();
  }

  /** How many functions and others have to go to one owner. */
  int endpoints() {
    return shown.size() + folded.size() + others.size();
  }

  /** The same below these bridges. */
  GroupNode behind(List<PciFunction> above) {
    return new GroupNode(
        group,
        Stream.concat(above.stream(), via.stream()).toList(),
        bridges,
        shown,
        folded,
        others,
        children);
  }
}
