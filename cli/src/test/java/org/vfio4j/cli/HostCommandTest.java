// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;

class HostCommandTest {
  @TempDir Path folder;

  static List<Path> hosts() throws IOException {
    try (Stream<Path> files = Files.list(Ran.ROOT.resolve("examples/hosts"))) {
      return files.filter(f -> f.toString().endsWith(".json")).sorted().toList();
    }
  }

  @Test
  void shouldShowWhatSharesAGroup() {
    Ran ran = Ran.vfio("host", Ran.host("qemu-q35"));
    assertThat(ran.status()).isZero();
    assertThat(ran.err()).isEmpty();
    assertThat(ran.lines())
        .contains(
            "qemu-q35: 20 functions, 14 groups; from a capture written by hand",
            "   11 \u252c  0000:01:00.0  1b36:000e  PCI bridge    -         PCIe-to-PCI bridge",
            "      \u2514  0000:02:03.0  8086:100e  Ethernet      e1000     82540EM gigabit"
                + " network",
            "  11  0000:02:01.0, 0000:02:02.0, 0000:02:03.0: held by e1000",
            "   9  0000:00:0a.0-1: on VFIO, can be given away");
  }

  @Test
  void shouldSayWhatTheHostNeedsAndWhichMdevsThereAre() {
    Ran ran = Ran.vfio("host", Ran.host("vgpu-server"));
    assertThat(ran.out())
        .contains("kept by the host: boot disk 0000:03:00.0, console 0000:01:00.1")
        .containsPattern("0000:03:00\\.0 .* hpsa +BOOT DISK")
        .containsPattern("0000:01:00\\.1 .* mgag200 +CONSOLE")
        .containsPattern("0000:08:00\\.0 .* nvidia +PF, 16 of 16 VFs on")
        .contains("VF of 0000:08:00.0")
        .contains("nvidia-751 on 0000:08:00.6, group 108, nvidia-vgpu-vfio")
        .contains("needed by the host: console");
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldKeepWithinTheScreenAndLoseNoDevice(Path host) {
    HostTopology topology = HostSource.read(host).getFirst();
    for (int width : new int[] {Console.MIN_WIDTH, 60, 79, 120}) {
      Ran ran = Ran.on(width, false, "host", host);
      assertThat(ran.status()).isZero();
      for (PciFunction function : topology.functions()) {
        assertThat(ran.out()).contains(function.address().toString());
      }
      if (width >= 60) {
        assertThat(ran.lines()).allSatisfy(l -> assertThat(l.length()).isLessThanOrEqualTo(width));
      }
    }
  }

  @Test
  void shouldUseColoursOnlyWhereWanted() {
    assertThat(Ran.on(100, true, "host", Ran.host("pn51")).out()).contains("\u001b[");
    assertThat(Ran.on(100, false, "host", Ran.host("pn51")).out()).doesNotContain("\u001b[");
  }

  @Test
  void shouldNotLetACaptureSteerTheTerminal() throws IOException {
    Path capture = folder.resolve("evil.json");
    String text = Files.readString(Ran.host("pn51"));
    Files.writeString(capture, text.replace("\"ahci\"", "\"a\\u001b[2Jhci\""));
    assertThat(Ran.vfio("host", capture).out()).doesNotContain("\u001b");
  }

  @Test
  void shouldPrintCaptureAndGroupsAsJson() {
    Ran ran = Ran.vfio("host", Ran.host("qemu-q35"), "--json");
    assertThat(ran.status()).isZero();
    assertThat(ran.out())
        .startsWith("{\n  \"capture\": {")
        .contains("\"vfio4j-capture\": 3")
        .containsPattern("\"id\": 11,\\s+\"holding\": \"host\",\\s+\"shared\": true")
        .containsPattern("\"bridges\": \\[\\s+\"0000:01:00\\.0\"");
  }

  @Test
  void shouldReadItsOwnJsonBack() throws IOException {
    Path file = folder.resolve("host.json");
    Ran json = Ran.vfio("host", Ran.host("qemu-q35"), "--json");
    Files.writeString(file, json.out());
    assertThat(Ran.vfio("host", file, "--json").out()).isEqualTo(json.out());
  }

  @Test
  void shouldAskWhichOfSeveralHosts() throws IOException {
    Path source = folder.resolve("two.txt");
    Files.writeString(source, TwoKernels.TEXT);
    Ran ran = Ran.vfio("host", source);
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.err()).contains("2 hosts", "--name").hasLineCount(1);
    String first = ran.err().strip().replaceFirst(".*: ", "").split(", ")[0];
    assertThat(Ran.vfio("host", source, "--name", first).status()).isZero();
  }

  @Test
  void shouldNotOverwriteADrawing() throws IOException {
    Path file = folder.resolve("a.svg");
    assertThat(Ran.vfio("host", Ran.host("pn51"), "--svg", file).status()).isZero();
    assertThat(Ran.vfio("host", Ran.host("x670e"), "--svg", file).status()).isEqualTo(2);
    assertThat(Files.readString(file)).contains("pn51");
    assertThat(Ran.vfio("host", Ran.host("x670e"), "--svg", file, "--overwrite").status()).isZero();
    assertThat(Files.readString(file)).contains("x670e");
  }
}
