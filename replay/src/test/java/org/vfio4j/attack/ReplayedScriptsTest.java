// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.Errno;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.OpScript;
import org.vfio4j.replay.Replay;
import org.vfio4j.replay.SoftEnvironment;

/** The scripts that the explorer prints say to {@code vfio replay} what was done here. */
class ReplayedScriptsTest {
  private static final int STEPS = 120;

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"5.3", "5.10", "6.1", "6.12", "7.2"})
  void shouldReplayToTheSameAnswers(String kernel) {
    KernelProfile profile = KernelProfile.named(kernel).orElseThrow();
    World.Memory memory = new World.Memory();
    Attack attack = new Attack(profile, memory);
    SplittableRandom random = new SplittableRandom(4);
    List<Op> pending = new ArrayList<>(Alphabet.SMALL.prelude());
    StringBuilder script = new StringBuilder("case walk\n");
    List<String> expected = new ArrayList<>();
    while (expected.size() < STEPS) {
      List<Op> from = Alphabet.SMALL.from(attack.ledger);
      Op op = pending.isEmpty() ? from.get(random.nextInt(from.size())) : pending.removeFirst();
      boolean waits = op.kind() == Op.Kind.UNBIND || op.kind() == Op.Kind.REMOVE;
      if (waits && attack.ledger.mustWait(op.b())) {
        continue;
      }
      Attack.Outcome outcome = attack.step(op);
      if (!outcome.skipped()) {
        script.append(op.script()).append('\n');
        expected.add(outcome.refusal().map(Errno::name).map(e -> "-" + e).orElse("0"));
      }
    }
    assertThat(answers(new World(profile, memory), script.toString())).isEqualTo(expected);
  }

  static List<DefectScript> documented() throws IOException {
    return DefectScript.all().stream().filter(each -> Scripts.read(each.text()).replays()).toList();
  }

  /**
   * What the attacker was answered to a script of docs/DEFECTS.md. Some are left out: they have a
   * call into the IOMMU fail, or do what no user can, for which the language has no word.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("documented")
  void shouldReplayADefectsScriptToTheSameAnswers(DefectScript documented) {
    Scripts script = Scripts.read(documented.text());
    Attack attack = new Attack(script.profile(), new World.Memory());
    List<String> expected =
        script.ops().stream()
            .map(op -> attack.step(op).refusal().map(Errno::name).map(e -> "-" + e).orElse("0"))
            .toList();
    World world = new World(script.profile(), new World.Memory());
    assertThat(answers(world, "case defect\n" + documented.text())).isEqualTo(expected);
  }

  private static List<String> answers(World world, String script) {
    List<String> answers = new ArrayList<>();
    try (SoftEnvironment environment = new SoftEnvironment(world.machine, "script")) {
      OpScript parsed = OpScript.parse("walk.vt", script);
      new Replay("walk.vt", parsed, environment, answers::add).run();
    }
    return answers.stream()
        .filter(line -> line.contains(" -> "))
        .map(line -> line.substring(line.lastIndexOf(" -> ") + 4))
        .map(answer -> answer.startsWith("-") ? answer : "0")
        .toList();
  }
}
