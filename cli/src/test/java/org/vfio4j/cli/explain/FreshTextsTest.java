// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Messages of public threads that were gathered before the rules knew them, typed anew and as short
 * as they can be. What they showed at first is in docs/MEASURED.md; this keeps what was learned.
 */
class FreshTextsTest {

  private static final String HEAD = "=== ";

  static List<Arguments> texts() throws IOException {
    List<Arguments> all = new ArrayList<>();
    Path folder = Path.of("src/test/resources/explain/fresh");
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.sorted().toList()) {
        for (String block : Files.readString(file).split("(?m)^" + HEAD)) {
          if (!block.isBlank() && !block.startsWith("#")) {
            String[] head = block.lines().findFirst().orElseThrow().split(" ");
            all.add(Arguments.of(head[0], head[1], block.substring(block.indexOf('\n') + 1)));
          }
        }
      }
    }
    return all;
  }

  @ParameterizedTest(name = "{0}: {1}")
  @MethodSource("texts")
  void shouldAnswerWhatTheThreadFound(String id, String rule, String text) {
    assertThat(RulebookTest.ruleOf(text)).as(id).isEqualTo(rule);
  }
}
