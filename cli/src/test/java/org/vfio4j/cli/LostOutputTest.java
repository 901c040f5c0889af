// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A command that goes on ends where nobody could read how to use what it serves. */
class LostOutputTest {
  @TempDir Path folder;

  private boolean loses(Object... words) throws IOException {
    try (FileOutputStream full = new FileOutputStream("/dev/full")) {
      Console console =
          new Console(
              new Screen(AnswerStream.to(full.getFD())),
              new Screen(new PrintStream(PrintStream.nullOutputStream())),
              Console.DEFAULT_WIDTH,
              false,
              true,
              false);
      String[] arguments = new String[words.length];
      for (int n = 0; n < words.length; n++) {
        arguments[n] = words[n].toString();
      }
      assertThat(Main.run(console, arguments)).isZero();
      return console.lost().isPresent();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"--json", "--verbose"})
  @Timeout(60)
  void shouldEndWhatNobodyCouldUse(String option) throws IOException {
    Path sockets = folder.resolve("sockets");
    Path file =
        Files.writeString(
            folder.resolve("vms.yaml"),
            "host: %s\nvms: {lab: {devices: [{device: edu}]}}\n"
                .formatted(Ran.host("two-nics").toAbsolutePath()));
    assertThat(loses("up", file, "--folder", sockets, option)).isTrue();
    assertThat(sockets).isEmptyDirectory();
    Path socket = folder.resolve("edu.sock");
    assertThat(loses("serve", "edu", "--socket", socket, option)).isTrue();
    assertThat(socket).doesNotExist();
  }
}
