// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.replay.testing.FakeKernelEnvironment;
import org.vfio4j.testing.Q35;

/**
 * The fake kernel answers raw ioctls as the engine answers the calls they stand for: nothing is
 * lost or made up on the way through structs and descriptors. Against a real kernel the same
 * scripts run in kernel-bench, suite {@code fake}.
 */
class FakeKernelDuelTest {
  private static final int OPERATIONS = 2_000;

  @TempDir Path folder;

  @Test
  void shouldAnswerTwoThousandOperationsAsTheEngineDoes() {
    long seed = Long.getLong("vfio4j.seed", 1);
    KernelProfile profile = KernelProfile.LINUX_6_1;
    try (SoftEnvironment engine = new SoftEnvironment(Q35.machine(profile), "fuzz");
        FakeKernelEnvironment fake = new FakeKernelEnvironment(Q35.machine(profile), folder)) {
      Duel duel = new Duel(profile, engine, fake);
      int operations = 0;
      for (long at = seed; operations < OPERATIONS; at++) {
        List<String> lines = new ScriptWriter(at, profile).write();
        Duel.Outcome outcome = duel.fight(lines);
        assertThat(outcome.difference())
            .as("seed %d (again with -Dvfio4j.seed=%d)%n%s", at, at, String.join("\n", lines))
            .isEmpty();
        operations += outcome.judged().size();
      }
    }
  }
}
