// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.input.BadInputException;

class HostSourceTest {

  @TempDir private Path folder;

  private void refuse(Path file, String message) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> HostSource.read(file))
        .withMessageStartingWith(file + ":")
        .withMessageContaining(message)
        .withMessageNotContaining("\n");
  }

  @Test
  void shouldNameAHostAfterItsFile() throws IOException {
    Path file = folder.resolve("my.host.txt");
    Files.writeString(file, "IOMMU Group 7 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n");
    assertThat(HostSource.read(file).getFirst().name()).isEqualTo("my.host");
  }

  @Test
  void shouldSayThatAFileIsMissing() {
    refuse(folder.resolve("nowhere.json"), "no such file or folder");
  }

  @Test
  void shouldRefuseAFolderThatIsNoSysfs() {
    refuse(folder, "bus/pci/devices: missing");
  }

  @Test
  void shouldRefuseAHugeFileWithoutReadingIt() throws IOException {
    Path file = folder.resolve("huge");
    try (RandomAccessFile huge = new RandomAccessFile(file.toFile(), "rw")) {
      huge.setLength(100L << 20);
    }
    refuse(file, "bigger than 32 MiB");
  }

  @Test
  void shouldRefuseRubbish() throws IOException {
    byte[] bytes = new byte[1 << 20];
    new Random(42).nextBytes(bytes);
    Path file = folder.resolve("rubbish");
    Files.write(file, bytes);
    refuse(file, "");
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (' ' + (bytes[i] & 0x3f));
    }
    Files.write(file, bytes);
    refuse(file, "");
    for (int i = 0; i < bytes.length; i += 60) {
      bytes[i] = '\n';
    }
    Files.write(file, bytes);
    refuse(file, "no host found");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\n\n", "hello\n", "[]", "null", "P: /devices/x\n\n"})
  void shouldRefuseWhatHoldsNoHost(String text) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> HostSource.parse("file", "file", text.getBytes(StandardCharsets.UTF_8)))
        .withMessageMatching("file: [^\\n]*no [^\\n]*");
  }

  @Test
  void shouldReadTheMachineItRunsOnOrSayWhyNot() {
    try {
      assertThat(HostSource.live().functions()).isNotEmpty();
    } catch (BadInputException e) {
      assertThat(e).hasMessageContaining("bus/pci/devices");
    }
  }
}
