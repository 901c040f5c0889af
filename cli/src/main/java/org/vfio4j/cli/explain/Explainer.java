// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.error.Errno;

/** Answers what a text means. The same text has the same answer, whatever was asked before. */
public final class Explainer {

  /** More answers of a call than this are a list, and no answer. */
  private static final int MAX_REASONS = 3;

  private static final int MAX_ALSO = 3;

  /** Lines from the end of a log that are also read as broken messages. */
  private static final int MAX_JOINED = 2000;

  private final Rulebook rulebook = new Rulebook();
  private final Codes codes = new Codes();

  /** The rules it goes by. */
  public Rulebook rulebook() {
    return rulebook;
  }

  /** The codes it knows. */
  public Codes codes() {
    return codes;
  }

  /** What a text means: the name of a code, an errno, a message, or a whole log. */
  public Answer explain(String text) {
    List<Code> named = codes.listed(text);
    if (!named.isEmpty()) {
      return new Answer.OfCodes(named);
    }
    Optional<Errno> errno = Errnos.named(text);
    if (errno.isPresent()) {
      return ofErrno(errno.get(), text);
    }
    List<LogLine> lines = LogText.lines(text);
    Scene scene = scene(lines);
    List<Finding> found = findings(lines, scene);
    int count = lines.isEmpty() ? 0 : lines.getLast().number();
    return decided(found, scene)
        .<Answer>map(d -> new Answer.Explained(d, count, also(found, d)))
        .orElseGet(() -> unexplained(text, scene, found));
  }

  private Answer ofErrno(Errno errno, String text) {
    List<Code> known = codes.of(errno);
    return known.isEmpty()
        ? new Answer.Unknown(Optional.of(errno), Optional.empty(), codes.near(text))
        : new Answer.OfErrno(errno, known);
  }

  private Scene scene(List<LogLine> lines) {
    return new Scene(lines.stream().map(l -> Statement.of(l, rulebook.calls())).toList());
  }

  /** What is known of each line; of lines that make sense only together, once for all of them. */
  private List<Finding> findings(List<LogLine> lines, Scene scene) {
    List<Optional<Finding>> byLine = new ArrayList<>();
    for (Statement statement : scene.statements()) {
      byLine.add(rulebook.find(statement, scene));
    }
    int[] weights = byLine.stream().mapToInt(f -> f.map(Finding::weight).orElse(0)).toArray();
    for (LogText.Joined joined : LogText.joined(lines, Math.max(0, lines.size() - MAX_JOINED))) {
      int end = joined.last() + 1;
      int weight = Arrays.stream(weights, joined.first(), end).max().orElse(0);
      Optional<Finding> whole =
          rulebook
              .find(Statement.of(joined.line(), rulebook.calls()), scene)
              .filter(f -> f.weight() > weight);
      if (whole.isPresent()) {
        Collections.fill(byLine.subList(joined.first(), end), Optional.empty());
        byLine.set(joined.first(), whole);
        Arrays.fill(weights, joined.first(), end, whole.get().weight());
      }
    }
    return byLine.stream().flatMap(Optional::stream).toList();
  }

  /**
   * The last of the weightiest level; consequences decide nothing. Where the last has several
   * causes and another line names one of them, that line decides. A line that tells of no failure
   * does not decide beside one of a failure that is not known.
   */
  private static Optional<Finding> decided(List<Finding> found, Scene scene) {
    for (Level level : List.of(Level.ERROR, Level.WARNING, Level.INFO)) {
      if (level == Level.INFO && scene.hasFailureBeside(found)) {
        return Optional.empty();
      }
      List<Finding> same = found.stream().filter(f -> f.rule().level() == level).toList();
      if (!same.isEmpty()) {
        Finding last = same.getLast();
        return Optional.of(
            same.reversed().stream().filter(f -> settles(f, last)).findFirst().orElse(last));
      }
    }
    return Optional.empty();
  }

  /** Whether a line says which of the causes of another one it was. */
  private static boolean settles(Finding line, Finding open) {
    return open.rule().certainty() == Certainty.ONE_OF
        && line.rule().certainty() != Certainty.ONE_OF
        && line.rule().codes().stream().anyMatch(open.rule().codes()::contains);
  }

  private static List<Finding> also(List<Finding> found, Finding decided) {
    Set<String> told = new HashSet<>(Set.of(decided.rule().name()));
    List<Finding> also = new ArrayList<>();
    for (Finding finding : found.reversed()) {
      Level level = finding.rule().level();
      if ((level == Level.ERROR || level == Level.WARNING)
          && also.size() < MAX_ALSO
          && told.add(finding.rule().name())) {
        also.add(finding);
      }
    }
    return also;
  }

  private Answer unexplained(String text, Scene scene, List<Finding> found) {
    for (Statement statement : scene.statements().reversed()) {
      if (statement.call().isPresent() && statement.errno().isPresent()) {
        Call call = statement.call().get();
        Errno errno = statement.errno().get();
        List<Code> reasons = call.known().map(k -> codes.of(errno, k)).orElse(List.of());
        if (!reasons.isEmpty() && reasons.size() <= MAX_REASONS) {
          return new Answer.OfCall(statement.line(), call, errno, reasons);
        }
      }
    }
    Optional<Errno> errno =
        scene.statements().reversed().stream().flatMap(s -> s.errno().stream()).findFirst();
    Optional<Finding> consequence =
        found.stream().filter(f -> f.rule().level() == Level.CONSEQUENCE).findFirst();
    return new Answer.Unknown(errno, consequence, codes.near(text));
  }
}
