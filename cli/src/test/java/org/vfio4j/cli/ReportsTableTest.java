// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciId;

/**
 * Every report and every form of text, answered and held against what was expected before. {@code
 * docs/reports/run} writes the table that this test holds.
 */
class ReportsTableTest {

  private static final Path TABLE = Ran.ROOT.resolve("docs/REPORTS.md");
  private static final boolean WRITE = Boolean.getBoolean("vfio4j.reports.write");

  /** How an answer compares with what was expected. */
  private enum Mark {
    RIGHT,
    PARTLY,
    WRONG,
    NOTHING
  }

  /** An answer beside what was expected. */
  private record Row(String name, String question, Mark mark, String lacking) {}

  static List<Map.Entry<String, List<String>>> forms() {
    List<Map.Entry<String, List<String>>> forms = new ArrayList<>();
    ((Map<?, ?>) Optional.ofNullable(ExpectedReports.read().get("forms")).orElseThrow())
        .forEach((file, rows) -> forms.add(Map.entry(file.toString(), texts(rows))));
    return forms;
  }

  private static List<String> texts(Object list) {
    return ((List<?>) list).stream().map(String::valueOf).toList();
  }

  private static List<String> rows(Path file) {
    List<HostTopology> hosts = HostSource.read(file);
    assertThat(hosts).as(file.toString()).hasSize(1);
    return hosts.getFirst().functions().stream().map(ReportsTableTest::row).toList();
  }

  private static String row(PciFunction f) {
    return String.join(
        " ",
        f.address().toString(),
        fact(f.group()),
        f.id().map(PciId::toString).orElse("?"),
        f.classCode().map(Object::toString).orElse("?"),
        fact(f.driver()));
  }

  private static String fact(Fact<?> fact) {
    return fact.isUnknown() ? "?" : fact.isNone() ? "-" : fact.toString();
  }

  @ParameterizedTest
  @MethodSource("forms")
  void shouldReadTheForm(Map.Entry<String, List<String>> form) {
    Path file = ExpectedReports.FOLDER.resolve("inputs/fmt").resolve(form.getKey()).normalize();
    assertThat(rows(file)).containsExactlyElementsOf(form.getValue());
  }

  static List<ExpectedReports.Ask> hosts() {
    return ExpectedReports.asks("host");
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldReadTheHostOfTheReport(ExpectedReports.Ask ask) {
    assertThat(answer(ask).lacking()).isEmpty();
  }

  private static Row answer(ExpectedReports.Ask ask) {
    Ran ran =
        ask.command().equals("explain")
            ? Ran.vfio("explain", "--file", ask.input())
            : Ran.vfio(ask.command(), ask.input());
    String text = ran.out() + ran.err();
    List<String> lacking = new ArrayList<>(ask.missing(text));
    int wanted = ask.says().size();
    if (ask.command().equals("host")) {
      List<String> told =
          texts(Optional.ofNullable((Object) ask.more().get("told")).orElse(List.of()));
      told.stream().filter(t -> !ExpectedReports.holds(t, text)).forEach(lacking::add);
      wanted += told.size() + 1;
      if (!sameHost(ask)) {
        lacking.add("the functions");
      }
    }
    boolean exit = ask.exit().isEmpty() || ask.exit().getAsInt() == ran.status();
    List<String> wrong = ask.wrong(text);
    Mark mark = Mark.PARTLY;
    if (!wrong.isEmpty() || !exit) {
      mark = Mark.WRONG;
    } else if (lacking.isEmpty()) {
      mark = Mark.RIGHT;
    } else if (lacking.size() == wanted) {
      mark = Mark.NOTHING;
    }
    wrong.forEach(w -> lacking.add("not: " + w));
    if (!exit) {
      lacking.add("exit " + ran.status());
    }
    String question = "`" + ask.command() + " " + ask.input().getFileName() + "`";
    return new Row(ask.report(), question, mark, String.join("; ", lacking));
  }

  private static boolean sameHost(ExpectedReports.Ask ask) {
    Optional<Object> expected = Optional.ofNullable((Object) ask.more().get("functions"));
    List<String> read = rows(ask.input());
    return expected.map(e -> texts(e).equals(read)).orElse(true)
        && Optional.ofNullable((Object) ask.more().get("count"))
            .map(c -> c.equals(read.size()))
            .orElse(true);
  }

  @Test
  void shouldBeWhatTheTableSays() throws IOException {
    List<Row> rows =
        new ArrayList<>(ExpectedReports.asks().stream().map(ReportsTableTest::answer).toList());
    for (Map.Entry<String, List<String>> form : forms()) {
      Path file = ExpectedReports.FOLDER.resolve("inputs/fmt").resolve(form.getKey()).normalize();
      boolean same = rows(file).equals(form.getValue());
      String name = "`host " + file.getFileName() + "`";
      rows.add(new Row("form", name, same ? Mark.RIGHT : Mark.WRONG, same ? "" : "the functions"));
    }
    String table = table(rows);
    if (WRITE) {
      Files.writeString(TABLE, table);
    }
    assertThat(table).isEqualTo(Files.readString(TABLE));
  }

  private static String table(List<Row> rows) {
    Map<Mark, Integer> counts = new EnumMap<>(Mark.class);
    rows.forEach(r -> counts.merge(r.mark(), 1, Integer::sum));
    StringBuilder text = new StringBuilder();
    text.append(
        "# What people ran into, and what vfio4j answers\n\n"
            + "Made by `docs/reports/run`, and held by `ReportsTableTest`. Each line is a question"
            + " of a public report\n"
            + "or a form of text, answered by the command and held against"
            + " `docs/reports/expected.yaml`, which was\n"
            + "written before the rules. *Lacking* are the expressions that the answer should hold"
            + " and does not.\n\n");
    counts.forEach(
        (mark, count) ->
            text.append(mark.name().toLowerCase(java.util.Locale.ROOT))
                .append(": ")
                .append(count)
                .append(" of ")
                .append(rows.size())
                .append("  \n"));
    text.append("\n| report | question | answer | lacking |\n|---|---|---|---|\n");
    for (Row row : rows) {
      String lacking = row.lacking().isEmpty() ? "" : "`" + row.lacking().replace("|", "\\|") + "`";
      text.append(
          "| %s | %s | %s | %s |%n"
              .formatted(
                  row.name(),
                  row.question(),
                  row.mark().name().toLowerCase(java.util.Locale.ROOT),
                  lacking));
    }
    return text.toString();
  }
}
