// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;

/** Sizes as people write them, in the largest unit that needs no fraction. */
final class Size {
  private static final List<String> UNITS = List.of("B", "KiB", "MiB", "GiB");

  private Size() {}

  /** A size in bytes as a request would have it, as in {@code 4GiB}. */
  static String of(long bytes) {
    int unit = 0;
    long count = bytes;
    while (count != 0 && count % 1024 == 0 && unit + 1 < UNITS.size()) {
      count /= 1024;
      unit++;
    }
    return count + UNITS.get(unit);
  }
}
