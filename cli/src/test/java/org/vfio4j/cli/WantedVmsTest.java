// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a daemon finds again; kernel-bench/power-cut takes its power away. */
@Timeout(60)
class WantedVmsTest {
  @TempDir Path folder;

  private static WantedVm web(String text) {
    return WantedVm.of("web", "/vms.yaml", text, Optional.empty(), false, List.of());
  }

  /** Writes more than the process may, in a process that may write files of 8 KiB at most. */
  static final class TooMuch {
    private TooMuch() {}

    /**
     * Writes.
     *
     * @param args the folder
     */
    public static void main(String[] args) {
      try {
        WantedVms.in(Path.of(args[0])).write(web("#".repeat(20_000)));
        System.out.println("written");
      } catch (RefusedException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  /** A disk that gets full takes a part of what is written, and the rest is refused. */
  @Test
  void shouldWriteAllOrNothing() throws Exception {
    WantedVms.in(folder).write(web("before"));
    Process process =
        new ProcessBuilder(
                "bash",
                "-c",
                "ulimit -f 8 && exec \"$@\"",
                "bash",
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-XX:-UsePerfData",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path")
                    + ":"
                    + System.getProperty("jdk.module.path", ""),
                TooMuch.class.getName(),
                folder.toString())
            .redirectErrorStream(true)
            .start();
    assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .contains("cannot be written");
    assertThat(WantedVms.in(folder).read(_ -> {})).containsExactly(web("before"));
  }

  @Test
  void shouldBeReadWhateverElseIsThere() throws IOException {
    Path state = folder.resolve("some/state");
    WantedVms wanted = WantedVms.in(state);
    wanted.write(web("text"));
    Files.createDirectories(state.resolve("a.json.part/not-empty"));
    Files.createDirectories(state.resolve("b.json"));
    Files.createFile(state.resolve("c.json"));
    Files.write(state.resolve("d.json"), new byte[4096]);
    Files.createFile(state.resolve("e.json.part"));
    Files.createDirectory(state.resolve("lost+found"));
    List<String> damaged = new ArrayList<>();
    assertThat(wanted.read(damaged::add)).containsExactly(web("text"));
    assertThat(damaged).hasSize(4);
    assertThat(state.resolve("e.json.part")).doesNotExist();
  }
}
