// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** No row is broken within a word, however narrow the screen. */
class NarrowScreenTest {

  /** What is to be seen whole, in lines that fit; only a single long word may stand out. */
  private static void assertFits(int width, Object... command) {
    List<Object> what = List.of(command);
    // The widest that a host is shown on as blocks; wider, it is a table.
    String wide = Ran.on(command[0].equals("host") ? 79 : 1000, false, command).out();
    Ran ran = Ran.on(width, true, command);
    List<String> tooLong = new ArrayList<>();
    for (String line : ran.lines()) {
      String shown = line.replaceAll("\u001b\\[[0-9;]*m", "");
      // A command is to be copied: it stays in one piece.
      String words = shown.strip().replaceFirst("^\\$ .*|^[→✓✗•-] ", "");
      if (Text.width(shown) > width && words.contains(" ")) {
        tooLong.add(shown);
      }
    }
    assertThat(tooLong).as("%s at %d columns", what, width).isEmpty();
    String shown = ran.out().replaceAll("\u001b\\[[0-9;]*m", "");
    List<String> all = Stream.of(wide.split("\\s+")).distinct().toList();
    assertThat(all.stream().filter(w -> !shown.contains(w.replaceFirst(",$", ""))))
        .as("in pieces: %s at %d columns", what, width)
        .isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {100, 80, 60, 40, 32})
  void shouldWrapAVerdictBetweenWords(int width) throws IOException {
    assertFits(width, "check", Ran.ROOT.resolve("examples/tour.yaml"));
    try (Stream<Path> matrix = Files.list(Ran.ROOT.resolve("examples/matrix"))) {
      for (Path request : matrix.toList()) {
        assertFits(width, "check", request);
        assertFits(width, "check", request, "--strict");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {79, 60, 40, 32})
  void shouldWrapAHostBetweenWords(int width) throws IOException {
    try (Stream<Path> hosts = Files.list(Ran.ROOT.resolve("examples/hosts"))) {
      for (Path host : hosts.filter(h -> h.toString().endsWith(".json")).toList()) {
        if (Ran.vfio("host", host).status() == 0) {
          assertFits(width, "host", host);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {80, 60, 40, 32})
  void shouldWrapAnExplanationBetweenWords(int width) {
    assertFits(width, "explain", "vfio 0000:01:00.0: group 1 is not viable");
    assertFits(width, "explain", "BACKING_GROUP_HELD");
    assertFits(width, "explain", "EBUSY");
    assertFits(width, "explain", "nothing that anybody says");
  }

  @Test
  void shouldKeepADeviceInOneLineWhereItFits() {
    assertThat(Ran.vfio("check", Ran.ROOT.resolve("examples/tour.yaml")).lines())
        .contains("  ✓ 0000:05:00.0  whole     group 37, domain 1 of web");
  }
}
