// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who has a file open, by a {@code /proc} of our own. */
class OpenFilesTest {
  private static final Path GROUP = Path.of("/dev/vfio/12");

  @TempDir Path proc;

  private void process(long pid, String command, String opened) throws IOException {
    Path descriptors = Files.createDirectories(proc.resolve("" + pid).resolve("fd"));
    Files.createSymbolicLink(descriptors.resolve("7"), Path.of(opened));
    Files.writeString(proc.resolve("" + pid).resolve("comm"), command + "\n");
  }

  @Test
  void shouldNameTheProcess() throws IOException {
    process(812, "qemu-system-x86", "/dev/vfio/12");
    process(813, "other", "/dev/vfio/13");
    Files.createDirectories(proc.resolve("814"));
    assertThat(OpenFiles.first(proc, GROUP).orElseThrow()).hasToString("812 (qemu-system-x86)");
    assertThat(OpenFiles.users(proc, GROUP)).hasSize(1);
    assertThat(OpenFiles.first(proc, Path.of("/dev/vfio/1"))).isEmpty();
    assertThat(OpenFiles.first(proc.resolve("none"), GROUP)).isEmpty();
  }

  /** B26: it stops at the first, and looks at this process before it looks at all others. */
  @Test
  void shouldNameThisProcessFirst() throws IOException {
    long self = ProcessHandle.current().pid();
    process(1, "init", "/dev/vfio/12");
    process(self, "java", "/dev/vfio/12");
    process(self + 1, "qemu", "/dev/vfio/12");
    assertThat(OpenFiles.first(proc, GROUP).orElseThrow().pid()).isEqualTo(self);
    assertThat(OpenFiles.users(proc, GROUP)).hasSize(3);
  }
}
