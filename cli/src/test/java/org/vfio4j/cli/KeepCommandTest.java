// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code vfio keep}, with commands that die. */
class KeepCommandTest {
  @TempDir private Path folder;

  /** Counts its starts in what is kept, and dies at each but the last, which gives it back. */
  static final class Counting {
    private static final int STARTS = 4;

    private Counting() {}

    public static void main(String[] arguments) {
      Outliving outliving = Outliving.ofThisProcess();
      Optional<Outliving.Text> before = outliving.text("starts");
      int starts = before.map(t -> Integer.parseInt(t.text()) + 1).orElse(1);
      before.ifPresent(Outliving.Text::close);
      Outliving.Text now = outliving.write("starts", String.valueOf(starts));
      outliving.ready();
      if (starts < STARTS) {
        // As a crash: no hook, nothing closed.
        Runtime.getRuntime().halt(starts);
      }
      now.close();
      System.exit(10 + starts);
    }
  }

  private static int keep(ByteArrayOutputStream out, List<String> command) {
    List<String> words = new ArrayList<>(List.of("keep", "--"));
    words.addAll(command);
    PrintStream stream = new PrintStream(out, true, StandardCharsets.UTF_8);
    return Main.run(stream, stream, words.toArray(String[]::new));
  }

  @Timeout(60)
  @Test
  void shouldStartAgainWhatHasLeftSomething() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int status =
        keep(
            out,
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                Counting.class.getName()));
    assertThat(status).as(out.toString(StandardCharsets.UTF_8)).isEqualTo(14);
    assertThat(out.toString(StandardCharsets.UTF_8).lines())
        .hasSize(3)
        .allMatch(line -> line.matches("vfio keep: process \\d+ ended with status [123]: .*"));
  }

  @Test
  void shouldEndWithACommandThatLeavesNothing() throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(keep(out, List.of("sh", "-c", "exit 3"))).isEqualTo(3);
    assertThat(keep(out, List.of("/no/such/command"))).isEqualTo(127);
    Path said = folder.resolve("said");
    assertThat(keep(out, List.of("sh", "-c", "echo \"$@\" >" + said, "sh", "--json", "-x")))
        .isZero();
    assertThat(Files.readString(said)).as("options are the command's").isEqualTo("--json -x\n");
    assertThat(out.toString(StandardCharsets.UTF_8)).isEmpty();
  }
}
