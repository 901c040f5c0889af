// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CaptureCommandTest {
  @TempDir Path folder;

  @Test
  void shouldPrintACaptureThatIsTheSameAgain() throws IOException {
    Ran ran = Ran.vfio("capture", Ran.host("vgpu-server"));
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).isEqualTo(Files.readString(Ran.host("vgpu-server")));
  }

  @Test
  void shouldWriteTheWholeFileAndNothingBesideIt() throws IOException {
    Path file = folder.resolve("a b.json");
    Ran ran = Ran.vfio("capture", Ran.host("pn51"), "-o", file);
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).contains("34 functions", "24 groups");
    assertThat(Files.readString(file)).isEqualTo(Files.readString(Ran.host("pn51")));
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void shouldNotOverwriteWithoutForce() throws IOException {
    Path file = Files.writeString(folder.resolve("a.json"), "precious");
    Ran refused = Ran.vfio("capture", Ran.host("pn51"), "-o", file);
    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err()).contains("is there already", "--force").hasLineCount(1);
    assertThat(Files.readString(file)).isEqualTo("precious");
    Ran forced = Ran.vfio("capture", Ran.host("pn51"), "-o", file, "--force", "--json");
    assertThat(forced.status()).isZero();
    assertThat(forced.out()).contains("\"functions\": 34");
    assertThat(Files.readString(file)).contains("vfio4j-capture");
  }

  @Test
  void shouldNameAFolderThatIsNotThere() {
    Ran ran = Ran.vfio("capture", Ran.host("pn51"), "-o", folder.resolve("no/such/a.json"));
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.err()).contains("no/such/a.json: cannot be written: no such").hasLineCount(1);
  }

  @Test
  void shouldTakeOneOfSeveralHosts() throws IOException {
    Path source = Files.writeString(folder.resolve("two.txt"), TwoKernels.TEXT);
    String names = Ran.vfio("capture", source).err().strip().replaceFirst(".*: ", "");
    for (String name : names.split(", ")) {
      Ran ran = Ran.vfio("capture", source, "--name", name);
      assertThat(ran.out()).contains("\"name\": \"" + name + "\"");
    }
  }
}
