// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.replay.kernel.KernelVfio;
import org.vfio4j.replay.testing.Transcripts;

class ReplayCommandTest {
  private static final Path TRANSCRIPTS = Ran.ROOT.resolve("replay/src/test/resources/transcripts");

  @TempDir Path folder;

  @Transcripts.Each
  void shouldAnswerAsTheKernelDid(String script, String kernel) throws IOException {
    String host = script.equals("no-intremap") ? "qemu-q35-no-intremap" : "qemu-q35";
    Ran ran =
        Ran.vfio(
            "replay",
            TRANSCRIPTS.resolve(script + ".vt"),
            "--host",
            Ran.host(host),
            "--kernel",
            kernel,
            "--on",
            "soft");
    assertThat(ran.status()).isZero();
    List<String> expected = Files.readAllLines(TRANSCRIPTS.resolve(script + "-" + kernel + ".txt"));
    assertThat(Transcripts.normal(ran.lines())).isEqualTo(Transcripts.normal(expected));
  }

  @Test
  void shouldTieAnswersToLinesInJson() throws IOException {
    Path script =
        Files.writeString(
            folder.resolve("a.vt"),
            """
            # nothing here
            case skipped
            x = cont
            sh true
            case one
            c = cont

            unmap $c 0 0x1000
            g = grp 0000:00:02.0
            """);
    Ran ran = Ran.vfio("replay", script, "--host", Ran.host("qemu-q35"), "--json");
    assertThat(ran.status()).isZero();
    assertThat(ran.out())
        .doesNotContain("x = cont")
        .containsPattern("\"case\": \"one\",\\s+\"line\": 6,\\s+\"op\": \"c = cont\"")
        .containsPattern(
            "\"line\": 8,\\s+\"op\": \"unmap \\$c 0 0x1000\",\\s+\"answer\": \"-EINVAL\",\\s+"
                + "\"extra\": \\[\\s+\"\\[unmapped size=0x1000\\]\"")
        .containsPattern("\"line\": 9,");
  }

  @Test
  void shouldSayWhenItSkipsACase() throws IOException {
    Path script = Files.writeString(folder.resolve("a.vt"), "case x\nfork\nc = cont\n");
    Ran ran = Ran.vfio("replay", script, "--host", Ran.host("qemu-q35"));
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo("CASE x");
    assertThat(ran.out()).contains("skipped").doesNotContain("cont ");
  }

  @Test
  void shouldNameWhatIsMissingOnAMachineWithoutVfio() throws IOException {
    assumeTrue(KernelVfio.missing().isPresent(), "this machine has VFIO");
    Path script = Files.writeString(folder.resolve("a.vt"), "case x\nc = cont\n");
    Ran ran = Ran.vfio("replay", script, "--on", "kernel");
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).hasLineCount(1).contains("--on kernel cannot run here");
  }

  @Test
  void shouldWantAHostForTheEngineAndNoneForTheKernel() throws IOException {
    Path script = Files.writeString(folder.resolve("a.vt"), "case x\nc = cont\n");
    Ran without = Ran.vfio("replay", script);
    assertThat(without.status()).isEqualTo(2);
    assertThat(without.err()).contains("--host");
    Ran with = Ran.vfio("replay", script, "--on", "kernel", "--host", Ran.host("qemu-q35"));
    assertThat(with.status()).isEqualTo(2);
    assertThat(with.err()).contains("leave out --host");
  }
}
