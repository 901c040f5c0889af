// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.vfio4j.cli.explain.Answer;
import org.vfio4j.cli.explain.Code;
import org.vfio4j.cli.explain.Errnos;
import org.vfio4j.cli.explain.Finding;
import org.vfio4j.cli.explain.LogLine;
import org.vfio4j.cli.explain.Rule;
import org.vfio4j.cli.explain.Speaker;
import org.vfio4j.error.Errno;
import picocli.CommandLine.Help.Ansi.Style;

/** What {@code vfio explain} prints for a reader. */
final class ExplainText {

  private static final int INDENT = 2;
  private static final int MAX_SHOWN = 300;
  private static final int MAX_ALSO_SHOWN = 100;
  private static final int MAX_NAMED = 60;

  private final Console console;
  private final Pasted pasted;

  ExplainText(Console console, Pasted pasted) {
    this.console = console;
    this.pasted = pasted;
  }

  void print(Answer answer, Optional<ConcernedDevices> concerned) {
    switch (answer) {
      case Answer.OfCodes(List<Code> codes) -> printCodes(codes);
      case Answer.OfErrno(Errno errno, List<Code> codes) -> printErrno(errno, codes);
      case Answer.OfCall call -> printCall(call);
      case Answer.Explained explained -> printExplained(explained, concerned);
      case Answer.Unknown unknown -> printUnknown(unknown);
    }
  }

  private void printExplained(Answer.Explained explained, Optional<ConcernedDevices> concerned) {
    Finding decided = explained.decided();
    title(decided.rule().title());
    if (pasted.log().isPresent() || explained.lines() > 1) {
      String says = decided.speaker().map(s -> s.title() + ", ").orElse("");
      para(says + place(decided.line(), explained.lines()) + ": " + shown(decided.line()), INDENT);
    } else {
      decided.speaker().ifPresent(s -> para("A message of " + s.title() + ".", INDENT));
    }
    heading("Cause (" + decided.rule().certainty().words() + ")");
    decided.causes().forEach(c -> para(c, INDENT));
    heading("To verify");
    decided.verify().forEach(this::command);
    printFixes(decided.fixes());
    concerned.ifPresent(this::printConcerned);
    if (!explained.also().isEmpty()) {
      heading("Also in the text");
      for (Finding also : explained.also()) {
        String said = Text.cut(shown(also.line()), MAX_ALSO_SHOWN);
        item(place(also.line(), explained.lines()) + ": " + also.rule().title() + ": " + said);
      }
    }
    more(decided.rule().codes());
  }

  private String place(LogLine line, int lines) {
    return "line %d of %d".formatted(line.number(), lines);
  }

  private static String shown(LogLine line) {
    return Text.cut(Text.printable(line.text()), MAX_SHOWN);
  }

  private void printConcerned(ConcernedDevices concerned) {
    heading("On host " + Text.printable(concerned.host()));
    concerned.lines().forEach(l -> para(l, INDENT));
  }

  private void printCall(Answer.OfCall answer) {
    title(answer.errno() + " from " + answer.call().title());
    para(
        "No rule knows this message; that the kernel answers this call so has "
            + (answer.codes().size() == 1 ? "one reason" : "these reasons")
            + ":",
        INDENT);
    for (Code code : answer.codes()) {
      console.out().println();
      console.out().println(console.paint(Style.bold, code.name()));
      para(code.means(), INDENT);
      code.fixes().forEach(this::item);
    }
    more(answer.codes().stream().map(Code::name).toList());
  }

  private void printUnknown(Answer.Unknown unknown) {
    String named = Text.cut(Text.printable(pasted.text()).strip(), MAX_NAMED);
    if (unknown.consequence().isPresent()) {
      Finding consequence = unknown.consequence().get();
      para(
          "Nothing that decides is in it: '"
              + Text.cut(shown(consequence.line()), MAX_NAMED)
              + "' only says that something before it failed.",
          0);
      para("Give the lines before it: the whole output, or the log as a file.", 0);
      consequence.verify().forEach(this::command);
    } else if (unknown.errno().isPresent()) {
      String errno = unknown.errno().get().name();
      boolean alone = Errnos.named(pasted.text()).isPresent();
      para(
          alone
              ? "No call that is known here answers with " + errno + "."
              : "Nothing is known of '" + named + "'.",
          0);
      para(
          "It names an errno ("
              + errno
              + "), but an errno alone does not tell: give the line that says"
              + " which call was refused, on what."
              + (alone ? "" : " 'vfio explain " + errno + "' lists all that it can mean."),
          0);
    } else {
      para("Nothing is known of '" + named + "'.", 0);
      para(
          "What helps: the whole line of the program that refused, with the device, the group or"
              + " the file in it, and the errno; or the kernel's log: dmesg | vfio explain",
          0);
    }
    if (!unknown.near().isEmpty()) {
      console.out().println("Perhaps:");
      unknown.near().forEach(n -> para(n, INDENT));
    }
  }

  private void printErrno(Errno errno, List<Code> codes) {
    title(errno.name() + " (" + errno.number() + ") can mean");
    for (Code code : codes) {
      String calls =
          code.answers().stream()
              .filter(a -> a.errno() == errno)
              .flatMap(a -> a.calls().stream())
              .collect(Collectors.joining(", "));
      console.out().println();
      console.out().println(console.paint(Style.bold, code.name()));
      para("from " + calls, INDENT);
      para(code.means(), INDENT);
    }
    console.out().println();
    para(
        "'vfio explain CODE' says what helps; the message of the program says which of them it is.",
        0);
  }

  private void printCodes(List<Code> codes) {
    for (Code code : codes) {
      if (code != codes.getFirst()) {
        console.out().println();
      }
      title(code.name());
      para(code.means(), INDENT);
      for (Code.Answer answer : code.answers()) {
        para(answer.errno() + " from " + String.join(", ", answer.calls()), INDENT);
      }
      printFixes(code.fixes());
    }
  }

  private void printFixes(List<String> fixes) {
    heading("What helps");
    fixes.forEach(this::item);
  }

  /** One line a code, each to be pasted. */
  private void more(List<String> codes) {
    if (!codes.isEmpty()) {
      heading("More");
      codes.forEach(c -> para("vfio explain " + c, INDENT));
    }
  }

  /** All rules, by who says such things. */
  static void printRules(Console console, List<Rule> rules) {
    int width = rules.stream().map(Rule::name).mapToInt(String::length).max().orElse(0) + INDENT;
    for (Speaker speaker : Speaker.values()) {
      List<Rule> said =
          rules.stream()
              .filter(r -> r.by().stream().min(Comparator.naturalOrder()).orElseThrow() == speaker)
              .toList();
      if (!said.isEmpty()) {
        console.out().println(console.paint(Style.bold, speaker.title()));
        for (Rule rule : said) {
          String name = "  " + Text.pad(rule.name(), width);
          console
              .out()
              .println(Text.wrap(rule.title(), console.width(), name, " ".repeat(width + INDENT)));
        }
      }
    }
    console
        .out()
        .println(Text.count(rules.size(), "kind") + " of message; codes and errnos besides.");
  }

  private void title(String text) {
    console.out().println(console.paint(Style.bold, text));
  }

  private void heading(String text) {
    console.out().println(text);
  }

  /** A command in one piece, so that it can be pasted, and beneath it what it shows. */
  private void command(String text) {
    int remark = text.indexOf(" # ");
    console
        .out()
        .println("  $ " + Text.printable(remark < 0 ? text : text.substring(0, remark)).strip());
    if (remark >= 0) {
      para(text.substring(remark + 3), 2 * INDENT);
    }
  }

  private void item(String text) {
    console.out().println(Text.wrap(Text.printable(text), console.width(), "  - ", "    "));
  }

  private void para(String text, int indent) {
    String before = " ".repeat(indent);
    console.out().println(Text.wrap(Text.printable(text), console.width(), before, before));
  }
}
