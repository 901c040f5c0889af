// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.testing.Transcripts;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.testing.Q35;

/** What four real kernels answered to the scripts, line for line. */
class TranscriptTest {
  @Transcripts.Each
  void shouldAnswerAsTheKernelDid(String script, String kernel) throws IOException {
    KernelProfile profile = KernelProfile.named(kernel).orElseThrow();
    SoftMachine machine =
        script.equals("no-intremap")
            ? Q35.withoutInterruptRemapping(profile)
            : Q35.machine(profile);
    List<String> answers = new ArrayList<>();
    try (SoftEnvironment environment = new SoftEnvironment(machine, "script")) {
      OpScript parsed = OpScript.parse(script + ".vt", resource(script + ".vt"));
      new Replay(script + ".vt", parsed, environment, answers::add).run();
    }
    List<String> expected = resource(script + "-" + kernel + ".txt").lines().toList();
    assertThat(Transcripts.normal(answers)).isEqualTo(Transcripts.normal(expected));
    assertThat(machine.iommu().census()).isEqualTo(org.vfio4j.iommu.SoftIommu.Census.EMPTY);
  }

  static String resource(String name) throws IOException {
    try (InputStream in = TranscriptTest.class.getResourceAsStream("/transcripts/" + name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
