// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A made {@code /proc}; kernel-bench's suite deaths has real orphans. */
class OrphanTest {
  private static final Path SOCKET = Path.of("/run/vfio4j/web/0000:01:00.0.sock");

  @TempDir Path proc;

  private void process(int pid, String commandLine, String... files) throws IOException {
    Path process = proc.resolve(String.valueOf(pid));
    Files.createDirectories(process.resolve("fd"));
    Files.writeString(process.resolve("cmdline"), commandLine);
    for (int n = 0; n < files.length; n++) {
      Files.createSymbolicLink(process.resolve("fd/" + n), Path.of(files[n]));
    }
  }

  @Test
  void shouldFindWhoHasBeenGivenADevice() throws Exception {
    String qemu = "qemu\0-device\0{\"socket\":{\"path\":\"%s\"}}\0".formatted(SOCKET);
    process(10, "less\0" + SOCKET, "/dev/null");
    process(11, "qemu\0-device\0vfio-pci", "anon_inode:[vfio-device]");
    process(12, qemu, "/dev/null", "socket:[1]");
    assertThat(Orphan.at(proc, SOCKET)).isEmpty();
    process(13, qemu, "socket:[1]", "anon_inode:[vfio-device]");
    assertThat(Orphan.at(proc, SOCKET)).contains("13");
  }
}
