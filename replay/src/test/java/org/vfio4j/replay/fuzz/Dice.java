// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import java.util.List;
import java.util.SplittableRandom;

/** What is left to chance, by one seed: choices, and numbers that are mostly sound. */
final class Dice {
  static final long PAGE = 4096;

  private final SplittableRandom random;

  Dice(long seed) {
    this.random = new SplittableRandom(seed);
  }

  /** From 0 up to, not including, the bound. */
  int below(int bound) {
    return random.nextInt(bound);
  }

  boolean chance(int percent) {
    return random.nextInt(100) < percent;
  }

  <T> T pick(List<T> from) {
    return from.get(random.nextInt(from.size()));
  }

  long iova() {
    return chance(92)
        ? 0x100000 + random.nextInt(48) * 0x4000L
        : pick(
            List.of(
                0L,
                0x800L,
                0x100800L,
                0xfee00000L,
                0xfedff000L,
                0xfedfe000L,
                0xfef00000L,
                0xfeeff000L,
                (1L << 39) - PAGE,
                (1L << 48) - PAGE,
                1L << 48,
                -PAGE,
                -2 * PAGE));
  }

  long size() {
    return chance(93)
        ? PAGE * (1 + random.nextInt(6))
        : pick(List.of(0L, 0x800L, 0x1800L, 0x100000L, 0x200000L, 0x102000L, -PAGE, 1L << 47));
  }

  String vaddr() {
    if (chance(93)) {
      return "buf+0x%x".formatted(random.nextInt(256) * PAGE);
    }
    return pick(
        List.of(
            "0x1000", "buf+0x800", "buf+0x3fff000", "buf+0x3ffe000", "0xfffffffffffff000", "0"));
  }
}
