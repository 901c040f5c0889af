// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;

/**
 * Random operations over all profiles keep every invariant, also when calls into the IOMMU fail.
 */
class RandomSequencesTest {
  private static final int OPERATIONS = 200_000;

  @Test
  void shouldKeepTheInvariantsWhateverIsDone() {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    long start = System.nanoTime();
    RandomAttack attack = new RandomAttack();
    Optional<Broken> broken = attack.run(seed, OPERATIONS, KernelProfile.all());
    System.out.printf(
        "random operations: %d in %d ms, seed %d (again with -Dvfio4j.seed=%d)%n",
        attack.done(), (System.nanoTime() - start) / 1_000_000, seed, seed);
    System.out.println("  done: " + attack.ops);
    System.out.println("  refused: " + attack.refusals);
    System.out.println("  made to fail: " + attack.faults);
    assertThat(broken.map(Broken::script)).as("seed %d", seed).isEmpty();
    assertThat(attack.ops).containsOnlyKeys(Op.Kind.values());
    assertThat(attack.faults).containsOnlyKeys(WatchedIommu.Call.FALLIBLE);
  }
}
