// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.dataformat.yaml.YAMLFactory;

/** What 'vfio check' must say of what people ran into, as docs/reports/expected.yaml has it. */
class ReportedChecksTest {
  private static final Path REPORTS = Path.of("../docs/reports");

  record Ask(
      String report, Path file, Optional<Integer> exit, List<String> says, List<String> never) {
    @Override
    public String toString() {
      return report + " " + file.getFileName();
    }
  }

  static Stream<Ask> asks() throws IOException {
    Path expected = REPORTS.resolve("expected.yaml");
    Tree.Obj root;
    try (JsonParser parser =
        new YAMLFactory().createParser(ObjectReadContext.empty(), Files.readString(expected))) {
      root = TreeReader.read(parser, expected.toString()).asObject();
    }
    List<Ask> asks = new ArrayList<>();
    root.required("reports")
        .asObject()
        .fields()
        .forEach(
            (report, tree) -> {
              for (Tree each : tree.asObject().required("asks").asList()) {
                Tree.Obj ask = each.asObject();
                ask.field("check")
                    .ifPresent(
                        file ->
                            asks.add(
                                new Ask(
                                    report,
                                    REPORTS.resolve(file.asText()),
                                    ask.field("exit").map(e -> e.asInt(0, 255)),
                                    texts(ask, "says"),
                                    texts(ask, "never"))));
              }
            });
    return asks.stream();
  }

  private static List<String> texts(Tree.Obj ask, String field) {
    return ask.field(field)
        .map(l -> l.asList().stream().map(Tree::asScalar).toList())
        .orElse(List.of());
  }

  @ParameterizedTest
  @MethodSource("asks")
  void shouldSayWhatHelpedThere(Ask ask) {
    Ran ran = Ran.vfio("check", ask.file());
    String said = (ran.out() + " " + ran.err()).replaceAll("\\s+", " ");
    ask.exit().ifPresent(exit -> assertThat(ran.status()).as(said).isEqualTo(exit));
    for (String each : ask.says()) {
      assertThat(Pattern.compile(each, Pattern.CASE_INSENSITIVE).matcher(said).find())
          .as("'%s' in: %s", each, said)
          .isTrue();
    }
    for (String each : ask.never()) {
      assertThat(Pattern.compile(each, Pattern.CASE_INSENSITIVE).matcher(said).find())
          .as("no '%s' in: %s", each, said)
          .isFalse();
    }
  }
}
