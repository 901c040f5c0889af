// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Q35;
import org.vfio4j.vfio.SoftMachine;

/** What four real kernels answered to the scripts, line for line. */
class TranscriptTest {
  @ParameterizedTest(name = "{0} on {1}")
  @CsvSource({
    "basics,5.10", "basics,6.1", "basics,6.12", "basics,7.2",
    "dma,5.10", "dma,6.1", "dma,6.12", "dma,7.2",
    "no-intremap,5.10", "no-intremap,6.1", "no-intremap,6.12", "no-intremap,7.2"
  })
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
    assertThat(normal(answers)).isEqualTo(normal(expected));
    assertThat(machine.iommu().census()).isEqualTo(org.vfio4j.iommu.SoftIommu.Census.EMPTY);
  }

  /** Descriptor numbers by first appearance within a case, which is all that a script sees. */
  private static List<String> normal(List<String> lines) {
    Map<String, Integer> seen = new HashMap<>();
    List<String> normal = new ArrayList<>();
    for (String line : lines) {
      if (line.startsWith("CASE ")) {
        seen.clear();
      }
      int arrow = line.lastIndexOf(" -> ");
      if (arrow > 0 && line.substring(0, arrow).contains(" = ") && !line.contains("-> -")) {
        String fd = line.substring(arrow + 4);
        seen.putIfAbsent(fd, seen.size());
        normal.add(line.substring(0, arrow) + " -> #" + seen.get(fd));
      } else {
        normal.add(line);
      }
    }
    return normal;
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = TranscriptTest.class.getResourceAsStream("/transcripts/" + name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
