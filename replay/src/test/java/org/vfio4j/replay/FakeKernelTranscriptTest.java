// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.testing.FakeKernelEnvironment;
import org.vfio4j.replay.testing.Transcripts;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.testing.Q35;

/**
 * Raw ioctls, answered by the fake kernel, give line for line what four real kernels answered: what
 * the tests of {@code linux} rest on is held to what it stands for.
 */
class FakeKernelTranscriptTest {
  @TempDir Path folder;

  @Transcripts.Each
  void shouldAnswerAsTheKernelDid(String script, String kernel) throws IOException {
    KernelProfile profile = KernelProfile.named(kernel).orElseThrow();
    SoftMachine machine =
        script.equals("no-intremap")
            ? Q35.withoutInterruptRemapping(profile)
            : Q35.machine(profile);
    Set<String> before = OpenDescriptors.now();
    List<String> answers = new ArrayList<>();
    try (FakeKernelEnvironment environment = new FakeKernelEnvironment(machine, folder)) {
      OpScript parsed = OpScript.parse(script + ".vt", TranscriptTest.resource(script + ".vt"));
      new Replay(script + ".vt", parsed, environment, answers::add).run();
      environment.closeAll();
      assertThat(environment.open()).isZero();
    }
    List<String> expected =
        TranscriptTest.resource(script + "-" + kernel + ".txt").lines().toList();
    assertThat(Transcripts.normal(answers)).isEqualTo(Transcripts.normal(expected));
    assertThat(machine.iommu().census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }
}
