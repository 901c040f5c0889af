// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.model;

/**
 * A set of states, in one array: a set of boxes takes three cache misses for each state that is
 * looked up, and every step looks one up.
 */
final class LongSet {
  /** A state plus one, which no state can be so large as to overflow; 0 where there is none. */
  private long[] slots = new long[1 << 10];

  private int size;

  int size() {
    return size;
  }

  /** Adds a value; tells whether it is new. */
  boolean add(long value) {
    if (!insert(slots, value + 1)) {
      return false;
    }
    size++;
    if (size > slots.length / 2) {
      grow();
    }
    return true;
  }

  private static boolean insert(long[] into, long entry) {
    int mask = into.length - 1;
    int at = (int) Exploration.mix(entry) & mask;
    while (into[at] != 0) {
      if (into[at] == entry) {
        return false;
      }
      at = (at + 1) & mask;
    }
    into[at] = entry;
    return true;
  }

  private void grow() {
    long[] larger = new long[2 * slots.length];
    for (long entry : slots) {
      if (entry != 0) {
        insert(larger, entry);
      }
    }
    slots = larger;
  }
}
