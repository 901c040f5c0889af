// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.assign.RefusalCode;
import org.vfio4j.error.Reason;

/** The rules are whole, and each finds its own messages, in all that people paste them in. */
class RulebookTest {

  private static final Explainer EXPLAINER = new Explainer();

  static List<Rule> rules() {
    return EXPLAINER.rulebook().rules();
  }

  /** What the rule of a text is, by name. */
  static String ruleOf(String text) {
    return switch (EXPLAINER.explain(text)) {
      case Answer.Explained explained -> explained.decided().rule().name();
      case Answer.Unknown unknown -> unknown.consequence().map(f -> f.rule().name()).orElse("none");
      default -> "none";
    };
  }

  @Test
  void shouldNameEachRuleOnce() {
    assertThat(rules().stream().map(Rule::name)).doesNotHaveDuplicates().hasSizeGreaterThan(200);
  }

  @Test
  void shouldKnowEachCodeOnce() {
    List<String> codes =
        Stream.concat(
                Stream.of(Reason.values()).map(Reason::name),
                Stream.of(RefusalCode.Host.values()).map(RefusalCode.Host::name))
            .toList();
    assertThat(EXPLAINER.codes().all().stream().map(Code::name))
        .containsExactlyInAnyOrderElementsOf(codes);
    assertThat(EXPLAINER.codes().all()).allSatisfy(c -> assertThat(c.fixes()).isNotEmpty());
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shouldSayCauseProofAndFixOfItsMessages(Rule rule) {
    assertThat(rule.by()).isNotEmpty();
    assertThat(rule.match().size() + rule.when().size()).isPositive();
    for (String test : rule.tests()) {
      if (EXPLAINER.explain(test) instanceof Answer.Explained explained) {
        assertThat(explained.decided().causes()).as(test).isNotEmpty();
        assertThat(explained.decided().verify()).as(test).isNotEmpty();
        assertThat(explained.decided().fixes()).as(test).isNotEmpty();
      }
    }
    assertThat(rule.codes()).allSatisfy(c -> assertThat(EXPLAINER.codes().named(c)).isPresent());
    assertThat(rule.when())
        .allSatisfy(w -> assertThat(EXPLAINER.rulebook().calls().named(w.call())).isPresent());
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shouldFindItsOwnMessagesAndNoOthers(Rule rule) {
    assertThat(rule.tests()).isNotEmpty();
    assertThat(rule.tests()).allSatisfy(t -> assertThat(ruleOf(t)).isEqualTo(rule.name()));
    assertThat(rule.others()).allSatisfy(t -> assertThat(ruleOf(t)).isNotEqualTo(rule.name()));
  }

  /** The same message under stamps, in quotes, in JSON, coloured, within a log. */
  @ParameterizedTest
  @MethodSource("rules")
  void shouldFindItsMessagesInWhatPeoplePasteThemIn(Rule rule) {
    for (String test : rule.tests()) {
      if (test.contains("\\n") || test.contains("{\"")) {
        // Several lines, or wrapped already.
        continue;
      }
      String quoted = test.replace("\\", "\\\\").replace("\"", "\\\"");
      for (String wrapped :
          List.of(
              "Mar  3 10:01:02 host kernel: " + test,
              "2024-05-01T10:00:00.123456+02:00 host kernel: " + test,
              "[  123.456789] " + test,
              "[Sat Nov 28 02:10:04 2026] " + test,
              "2024-05-01 10:00:00.123+0000: 1234: error : virNetSocketReadWire:1834 : " + test,
              "> " + test,
              "**" + test + "**",
              "`" + test + "`",
              "- " + test,
              "\u001b[31m" + test + "\u001b[0m",
              "\ufeff" + test + "\r\nsomething else\r\n",
              test.replace(" ", "  "),
              test + ".",
              "{\"level\":\"error\",\"msg\":\"" + quoted + "\",\"pos\":\"x:1\"}",
              "time=\"2024-05-01T10:00:00Z\" level=error msg=\"" + quoted + "\"",
              "first line\n\n" + test + "\n\nlast line\n")) {
        assertThat(ruleOf(wrapped)).as(wrapped).isEqualTo(rule.name());
      }
    }
  }

  /** Lines of logs that are not about VFIO, and lines about it that tell of nothing. */
  static List<String> unrelated() throws IOException {
    return Files.readAllLines(Path.of("src/test/resources/explain/unrelated.txt"));
  }

  @ParameterizedTest
  @MethodSource("unrelated")
  void shouldKnowNothingOfOtherLines(String line) {
    assertThat(EXPLAINER.explain(line)).isInstanceOf(Answer.Unknown.class);
  }

  /** A terminal of eighty columns, or a mailer, breaks a message into lines. */
  @ParameterizedTest
  @MethodSource("rules")
  void shouldJoinAFailureThatWasBrokenIntoLines(Rule rule) {
    for (String test : rule.tests()) {
      if (test.contains("\\n") || rule.level() != Level.ERROR) {
        continue;
      }
      StringBuilder broken = new StringBuilder();
      int column = 0;
      for (String word : test.split(" ")) {
        if (column > 0 && column + word.length() > 40) {
          broken.append("\n    ");
          column = 0;
        }
        broken.append(word).append(' ');
        column += word.length() + 1;
      }
      String found = ruleOf(broken.toString());
      assertThat(found).as(broken.toString()).isEqualTo(rule.name());
    }
  }
}
