// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/** Everything that can be done on a small world, breadth first, keeps every invariant. */
class ExplorerTest {
  /** Long mode: {@code -Dvfio4j.explore.seconds=600}, for each of three worlds. */
  private static final double SECONDS =
      Double.parseDouble(System.getProperty("vfio4j.explore.seconds", "4"));

  private static final int NO_LIMIT = Integer.MAX_VALUE;

  @Test
  void shouldKeepTheInvariantsOnEveryPath() {
    Set<WatchedIommu.Call> failed = EnumSet.noneOf(WatchedIommu.Call.class);
    explore(KernelProfile.LINUX_6_1, Alphabet.SMALL, SECONDS, NO_LIMIT, 3, failed);
    explore(KernelProfile.LINUX_5_10, Alphabet.SMALL, SECONDS, NO_LIMIT, 3, failed);
    explore(KernelProfile.LINUX_5_10, Alphabet.ODD, SECONDS, 5, 4, failed);
    assertThat(failed)
        .as("calls made to fail")
        .containsExactlyInAnyOrderElementsOf(WatchedIommu.Call.FALLIBLE);
  }

  /** Small worlds are explored to their end; the largest of them in long mode only. */
  @ParameterizedTest
  @ValueSource(strings = {"6.1", "5.10"})
  void shouldKeepTheInvariantsInEveryStateOfASmallWorld(String kernel) {
    KernelProfile profile = KernelProfile.named(kernel).orElseThrow();
    List<Alphabet> worlds =
        new ArrayList<>(List.of(Alphabet.SEED, Alphabet.PAIR, Alphabet.TRACKED));
    if (SECONDS > 60) {
      worlds.add(Alphabet.BENEATH);
    }
    for (Alphabet world : worlds) {
      Explorer.Report report = new Explorer(profile, world).run(3600, NO_LIMIT);
      System.out.printf("explorer, kernel %s, %s: %s%n", profile, world.name(), report);
      assertThat(report.broken().map(Broken::script)).isEmpty();
      assertThat(report.complete()).isTrue();
    }
  }

  /** Else a defect might be found one day and missed the next. */
  @Test
  void shouldExploreTheSameWayEachTime() {
    Explorer.Report first = new Explorer(KernelProfile.LINUX_5_10, Alphabet.PAIR).run(3600, 9);
    Explorer.Report again = new Explorer(KernelProfile.LINUX_5_10, Alphabet.PAIR).run(3600, 9);
    assertThat(again.states()).isEqualTo(first.states());
    assertThat(again.transitions()).isEqualTo(first.transitions());
    assertThat(again.faults()).isEqualTo(first.faults());
  }

  private static void explore(
      KernelProfile profile,
      Alphabet alphabet,
      double seconds,
      int depth,
      int least,
      Set<WatchedIommu.Call> failed) {
    Explorer.Report report = new Explorer(profile, alphabet).run(seconds, least, depth);
    System.out.printf("explorer, kernel %s, %s: %s%n", profile, alphabet.name(), report);
    System.out.println("  made to fail: " + report.faults());
    assertThat(report.broken().map(Broken::script)).isEmpty();
    assertThat(report.complete() || report.depth() >= Math.min(least, depth))
        .as("depth %d is complete", least)
        .isTrue();
    failed.addAll(report.faults().keySet());
  }
}
