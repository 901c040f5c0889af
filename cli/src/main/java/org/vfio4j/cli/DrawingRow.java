// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.Optional;

/**
 * A line of the drawing of a host.
 *
 * @param depth 0 for a bus or another heading, 1 and more for what hangs below
 * @param rails for each level above its own, from 1, whether the branch goes on below this row
 * @param last whether it is the last of its branch
 * @param label address or name
 * @param what class, in words
 * @param ids vendor and device
 * @param owner driver, and duties for the host
 * @param holding who holds it; empty for a heading
 * @param group number of its group
 * @param tooltip all that is known of it
 */
record DrawingRow(
    int depth,
    List<Boolean> rails,
    boolean last,
    String label,
    String what,
    String ids,
    String owner,
    Optional<Holding> holding,
    Optional<Integer> group,
    String tooltip) {

  /** A heading: a root bus, or where nothing is known of buses. */
  static DrawingRow heading(String label) {
    return new DrawingRow(
        0, List.of(), true, label, "", "", "", Optional.empty(), Optional.empty(), "");
  }

  boolean isHeading() {
    return holding.isEmpty();
  }
}
