// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/** Everything that can be done on a small world, breadth first, keeps every invariant. */
class ExplorerTest {
  private static final double SECONDS = 10;
  private static final int NO_LIMIT = Integer.MAX_VALUE;

  /** Long mode: {@code -Dvfio4j.explore.seconds=3600} for each of the two kernels. */
  @Test
  void shouldKeepTheInvariantsOnEveryPath() {
    double seconds = Double.parseDouble(System.getProperty("vfio4j.explore.seconds", "" + SECONDS));
    Set<WatchedIommu.Call> failed = EnumSet.noneOf(WatchedIommu.Call.class);
    explore(KernelProfile.LINUX_6_1, Alphabet.SMALL, seconds, NO_LIMIT, 3, failed);
    explore(KernelProfile.LINUX_5_10, Alphabet.SMALL, seconds, NO_LIMIT, 3, failed);
    explore(KernelProfile.LINUX_5_10, Alphabet.ODD, seconds, 5, 4, failed);
    assertThat(failed)
        .as("calls made to fail")
        .containsExactlyInAnyOrderElementsOf(WatchedIommu.Call.FALLIBLE);
  }

  private static void explore(
      KernelProfile profile,
      Alphabet alphabet,
      double seconds,
      int depth,
      int least,
      Set<WatchedIommu.Call> failed) {
    Explorer.Report report = new Explorer(profile, alphabet).run(seconds, depth);
    System.out.printf("explorer, kernel %s: %s%n", profile, report);
    System.out.println("  made to fail: " + report.faults());
    assertThat(report.broken().map(Broken::script)).isEmpty();
    assertThat(report.complete() || report.depth() >= Math.min(least, depth))
        .as("depth %d is complete", least)
        .isTrue();
    failed.addAll(report.faults().keySet());
  }
}
