// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/**
 * What {@code docs/reports/expected.yaml} expects of each public report: the question, and what the
 * answer must and must not hold.
 */
final class ExpectedReports {

  /** The folder that the file's paths start from. */
  static final Path FOLDER = Ran.ROOT.resolve("docs/reports");

  /** The commands that a report asks, each a field of its ask. */
  private static final List<String> COMMANDS = List.of("explain", "check", "host");

  private ExpectedReports() {}

  /**
   * One question of a report.
   *
   * @param report its number
   * @param about what the report is about
   * @param command explain, check or host
   * @param input the file that the question is about, below {@link #FOLDER}
   * @param says expressions that the answer must hold
   * @param never expressions that it must not hold
   * @param exit the exit status that is wanted
   * @param more all fields as they stand in the file, for what only one command has
   */
  record Ask(
      String report,
      String about,
      String command,
      Path input,
      List<String> says,
      List<String> never,
      OptionalInt exit,
      Map<?, ?> more) {

    /** Expressions of {@link #says} that the answer lacks. */
    List<String> missing(String answer) {
      return says.stream().filter(e -> !holds(e, answer)).toList();
    }

    /** Expressions of {@link #never} that the answer holds. */
    List<String> wrong(String answer) {
      return never.stream().filter(e -> holds(e, answer)).toList();
    }

    @Override
    public String toString() {
      return report + " " + command + " " + input.getFileName();
    }
  }

  /** Whether an expression is found without regard to case and to where lines were broken. */
  static boolean holds(String expression, String answer) {
    String flat = answer.replaceAll("\\s+", " ");
    return Pattern.compile(expression, Pattern.CASE_INSENSITIVE).matcher(flat).find();
  }

  /** All questions for one command, in the order of the file. */
  static List<Ask> asks(String command) {
    return asks().stream().filter(a -> a.command().equals(command)).toList();
  }

  /** All questions, in the order of the file. */
  static List<Ask> asks() {
    List<Ask> asks = new ArrayList<>();
    Map<?, ?> reports = map(read().get("reports"));
    reports.forEach(
        (number, report) -> {
          Map<?, ?> fields = map(report);
          for (Object ask : list(fields.get("asks"))) {
            asks.add(ask(number.toString(), fields, map(ask)));
          }
        });
    return asks;
  }

  private static Ask ask(String report, Map<?, ?> fields, Map<?, ?> ask) {
    String command = COMMANDS.stream().filter(ask::containsKey).findFirst().orElseThrow();
    return new Ask(
        report,
        String.valueOf(fields.get("about")),
        command,
        FOLDER.resolve(String.valueOf(ask.get(command))),
        texts(ask.get("says")),
        texts(ask.get("never")),
        ask.get("exit") instanceof Integer exit ? OptionalInt.of(exit) : OptionalInt.empty(),
        ask);
  }

  private static List<String> texts(@Nullable Object value) {
    return list(value).stream().map(String::valueOf).toList();
  }

  private static List<?> list(@Nullable Object value) {
    return value == null ? List.of() : (List<?>) value;
  }

  private static Map<?, ?> map(@Nullable Object value) {
    return Optional.ofNullable((Map<?, ?>) value).orElseThrow();
  }

  /** The whole file: {@code reports} and {@code forms}. */
  static Map<?, ?> read() {
    try {
      String text = Files.readString(FOLDER.resolve("expected.yaml"));
      return map(new Load(LoadSettings.builder().build()).loadFromString(text));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
