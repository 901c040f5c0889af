// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.TreeMap;

/**
 * The numbers of the groups that stand as headings in one listing. The kernel counts them up, so
 * where one number is missing between two that are there its heading is perhaps lost, and what
 * stood below it now seems to be of the group before.
 */
final class GroupNumbers {

  private final TreeMap<Integer, TextLine> lines = new TreeMap<>();

  void add(int group, TextLine line) {
    lines.putIfAbsent(group, line);
  }

  /** Says that the listing ends; tells the headings before which one is missing. */
  void end(TextReading reading) {
    lines.forEach(
        (group, line) -> {
          if (lines.containsKey(group - 2) && !lines.containsKey(group - 1)) {
            reading.lost(line, Loss.Reason.AMBIGUOUS);
          }
        });
    lines.clear();
  }
}
