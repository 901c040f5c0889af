// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  @TempDir Path folder;

  /** One line on the error stream, nothing else, no trace, exit status 2. */
  private static void assertRefusedAsInput(Ran ran, String... parts) {
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err().lines()).hasSize(1);
    assertThat(ran.err()).startsWith("vfio: ").doesNotContain("Exception");
    for (String part : parts) {
      assertThat(ran.err()).contains(part);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "host nosuch.json",
        "host --bogus",
        "host a b",
        "hots",
        "capture nosuch.json -o x.json",
        "replay nosuch.vt --host ../examples/hosts/qemu-q35.json",
        "replay x.vt",
        "replay x.vt --host y --kernel 9",
        "replay x.vt --host y --on hardware",
        "replay . --host ../examples/hosts/qemu-q35.json",
        "serve",
        "serve ioat",
        "serve nvme --socket x.sock",
        "serve ioat --socket /nosuch/x.sock",
        "serve ioat --socket ../pom.xml",
        "serve ioat --socket x.sock --mode 888",
        "serve ioat --socket x.sock --group no-such-group",
        "host ../pom.xml",
        "host ../examples/hosts/qemu-q35.json --name other",
        "host ../examples/hosts/qemu-q35.json --svg /nosuch/a.svg",
      })
  void shouldRefuseBadInputInOneLine(String line) {
    assertRefusedAsInput(Ran.vfio((Object[]) line.split(" ")));
  }

  @Test
  void shouldNameTheCommandThatWasMeant() {
    assertRefusedAsInput(Ran.vfio("captur"), "no command 'captur'", "perhaps capture", "--help");
  }

  @Test
  void shouldNameThePlaceInATruncatedCapture() throws IOException {
    Path capture = folder.resolve("cut.json");
    String whole = Files.readString(Ran.host("pn51"));
    Files.writeString(capture, whole.substring(0, whole.length() / 2));
    assertRefusedAsInput(Ran.vfio("host", capture), "cut.json:");
  }

  @Test
  void shouldRefuseAHundredMegabytesOfRubbish() throws IOException {
    Path rubbish = folder.resolve("rubbish");
    byte[] block = new byte[1 << 20];
    Arrays.fill(block, (byte) 'x');
    try (var out = Files.newOutputStream(rubbish)) {
      for (int i = 0; i < 100; i++) {
        out.write(block);
      }
    }
    assertRefusedAsInput(Ran.vfio("host", rubbish), "bigger than");
    assertRefusedAsInput(
        Ran.vfio("replay", rubbish, "--host", Ran.host("qemu-q35")), "bigger than");
  }

  @Test
  void shouldRefuseAScriptThatIsNoText() throws IOException {
    Path script = Files.write(folder.resolve("a.vt"), new byte[] {(byte) 0xff, (byte) 0xfe, 1});
    assertRefusedAsInput(Ran.vfio("replay", script, "--host", Ran.host("qemu-q35")), "UTF-8");
  }

  @Test
  void shouldNameTheLineOfABadScript() throws IOException {
    Path script = Files.writeString(folder.resolve("a.vt"), "case x\nc = cont\nfly $c\n");
    assertRefusedAsInput(
        Ran.vfio("replay", script, "--host", Ran.host("qemu-q35")), "a.vt:3: ", "fly");
  }

  @Test
  void shouldExplainItself() {
    Ran ran = Ran.vfio("--help");
    assertThat(ran.status()).isZero();
    assertThat(ran.out())
        .contains("host ", "check ", "capture ", "replay ", "explain ", "serve ", "completion ")
        .contains("Exit status: 0")
        .contains("vfio explain EBUSY");
  }

  @ParameterizedTest
  @ValueSource(strings = {"host", "check", "capture", "replay", "explain", "serve", "completion"})
  void shouldShowAnExampleOfEachCommand(String command) {
    Ran ran = Ran.vfio(command, "--help");
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).contains("Example", "vfio " + command);
  }

  @Test
  void shouldPrintHelpAndFailWithoutACommand() {
    Ran ran = Ran.vfio();
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.err()).contains("Commands");
  }

  @Test
  void shouldPrintItsVersion() {
    Ran ran = Ran.vfio("--version");
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).matches("vfio \\d+\\.\\d+\\S* \\(Java \\d\\S*\\)\\R");
  }

  @Test
  void shouldWriteACompletionScript() {
    Ran ran = Ran.vfio("completion");
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).contains("-F _complete_vfio vfio", "capture", "--svg", "--kernel");
  }
}
