// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.testing.Q35;
import org.vfio4j.vfio.KernelBugException;

/** The fuzzer itself, with an engine in the kernel's place: it must find what is there to find. */
class DuelTest {
  private static final int SCRIPTS = 300;

  @Test
  void shouldFindNothingBetweenTwoOfAKind() {
    KernelProfile profile = KernelProfile.LINUX_6_1;
    try (SoftEnvironment one = engine(profile);
        SoftEnvironment other = engine(profile)) {
      Duel duel = new Duel(profile, one, other);
      int operations = 0;
      int successes = 0;
      for (int seed = 0; seed < SCRIPTS; seed++) {
        Duel.Outcome outcome = duel.fight(new ScriptWriter(seed, profile).write());
        assertThat(outcome.difference()).as("seed %d", seed).isEmpty();
        operations += outcome.judged().size();
        successes += (int) outcome.judged().stream().filter(Answers.Answer::succeeded).count();
      }
      assertThat(operations).isGreaterThan(20 * SCRIPTS);
      assertThat(successes).isGreaterThan(operations / 2);
    }
  }

  @Test
  void shouldFindAndShrinkWhatTellsTwoKernelsApart() {
    try (SoftEnvironment one = engine(KernelProfile.LINUX_6_1);
        SoftEnvironment other = engine(KernelProfile.LINUX_7_2)) {
      Duel duel = new Duel(KernelProfile.LINUX_6_1, one, other);
      for (int seed = 0; seed < SCRIPTS; seed++) {
        List<String> lines = new ScriptWriter(seed, KernelProfile.LINUX_6_1).write();
        if (duel.fight(lines).difference().isEmpty()) {
          continue;
        }
        List<String> shortest = duel.shrink(lines);
        assertThat(shortest).hasSizeLessThan(8);
        assertThat(duel.fight(shortest).difference()).isPresent();
        return;
      }
    }
    throw new AssertionError("no difference found");
  }

  @Test
  void shouldWriteNothingThatStopsAKernel() {
    KernelProfile profile = KernelProfile.LINUX_5_10;
    try (SoftEnvironment one = engine(profile);
        SoftEnvironment other = engine(profile)) {
      Duel duel = new Duel(profile, one, other);
      for (int seed = 0; seed < SCRIPTS; seed++) {
        List<String> lines = new ScriptWriter(seed, profile).write();
        try {
          assertThat(duel.fight(lines).difference()).as("seed %d", seed).isEmpty();
        } catch (KernelBugException e) {
          throw new AssertionError("seed %d: %s".formatted(seed, String.join("\n", lines)), e);
        }
      }
    }
  }

  private static SoftEnvironment engine(KernelProfile profile) {
    return new SoftEnvironment(Q35.machine(profile), "fuzz");
  }
}
