// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.vfio4j.error.Errno;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi.Style;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JsonGenerator;

/** {@code vfio explain}: what a refusal or a message means. */
@Command(
    name = "explain",
    mixinStandardHelpOptions = true,
    description = {
      "Says what is behind a refusal: its code, an errno, or a message that QEMU, libvirt, a"
          + " kernel or another program printed."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio explain BACKING_GROUP_HELD",
      "  vfio explain EBUSY             all that it can mean, by call",
      "  vfio explain \"vfio 0000:01:00.0: group 1 is not viable\"",
      "Exit status 1 where nothing is known."
    })
final class ExplainCommand implements Callable<Integer> {

  /** Longer messages are cut: what is known is found in far fewer characters. */
  private static final int MAX_QUERY = 10_000;

  private static final int INDENT = 2;

  private final Console console;

  @Parameters(
      paramLabel = "CODE|ERRNO|MESSAGE",
      arity = "1..*",
      description = "What to explain; a message best in quotes.")
  private List<String> words = new ArrayList<>();

  @Option(names = "--json", description = "Print what is known as JSON.")
  private boolean json;

  ExplainCommand(Console console) {
    this.console = console;
  }

  /** What was found; where nothing was, what could have been meant. */
  private record Found(
      Optional<Errno> errno, List<Code> codes, List<Symptom> symptoms, List<String> near) {

    boolean nothing() {
      return codes.isEmpty() && symptoms.isEmpty();
    }
  }

  @Override
  public Integer call() {
    String joined = String.join(" ", words);
    String query = joined.substring(0, Math.min(MAX_QUERY, joined.length()));
    Found found = find(query);
    if (json) {
      Json.print(console, g -> write(g, query, found));
    } else {
      print(query, found);
    }
    return found.nothing() ? Main.REFUSED : Main.OK;
  }

  private static Found find(String query) {
    Knowledge knowledge = new Knowledge();
    Optional<Code> code = knowledge.code(query);
    if (code.isPresent()) {
      return new Found(Optional.empty(), List.of(code.get()), List.of(), List.of());
    }
    Optional<Errno> errno = Knowledge.errno(query);
    if (errno.isEmpty()) {
      List<Symptom> symptoms = knowledge.symptomsOf(query);
      if (!symptoms.isEmpty()) {
        return new Found(Optional.empty(), List.of(), symptoms, List.of());
      }
      errno = Knowledge.errnoIn(query);
    }
    List<Code> codes = errno.map(knowledge::codesOf).orElse(List.of());
    return new Found(errno, codes, List.of(), codes.isEmpty() ? knowledge.near(query) : List.of());
  }

  private void print(String query, Found found) {
    if (found.nothing()) {
      printNothing(query, found);
      return;
    }
    if (found.errno().isPresent()) {
      printErrno(found.errno().get(), found.codes());
      return;
    }
    found.codes().forEach(this::printCode);
    for (int i = 0; i < found.symptoms().size(); i++) {
      if (i > 0) {
        console.out().println();
      }
      printSymptom(found.symptoms().get(i));
    }
  }

  private void printNothing(String query, Found found) {
    String errno =
        found.errno().map(e -> e + " is an errno, but none that VFIO answers with.").orElse("");
    String shown = Text.cut(Text.printable(query), 60);
    para(errno.isEmpty() ? "Nothing is known of '" + shown + "'." : errno, 0);
    if (!found.near().isEmpty()) {
      console.out().println("Perhaps:");
      found.near().forEach(n -> para(n, INDENT));
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
    para("'vfio explain CODE' says what helps.", 0);
  }

  private void printCode(Code code) {
    title(code.name());
    para(code.means(), INDENT);
    for (Code.Answer answer : code.answers()) {
      para(answer.errno() + " from " + String.join(", ", answer.calls()), INDENT);
    }
    printFixes(code.fixes());
  }

  private void printSymptom(Symptom symptom) {
    title(symptom.title());
    symptom.causes().forEach(c -> para(c, INDENT));
    printFixes(symptom.fixes());
    console.out().println("Could be told before: " + symptom.foreseeable());
    para("More: vfio explain " + String.join(" | ", symptom.codes()), 0);
  }

  private void printFixes(List<String> fixes) {
    console.out().println("What helps");
    fixes.forEach(f -> console.out().println(Text.wrap(f, console.width(), "  - ", "    ")));
  }

  private void title(String text) {
    console.out().println(console.paint(Style.bold, text));
  }

  private void para(String text, int indent) {
    String before = " ".repeat(indent);
    console.out().println(Text.wrap(text, console.width(), before, before));
  }

  private static void write(JsonGenerator g, String query, Found found) {
    g.writeStartObject();
    Json.put(g, "query", query);
    g.writeBooleanProperty("found", !found.nothing());
    Json.put(g, "errno", found.errno());
    Json.objects(
        g,
        "codes",
        found.codes(),
        (to, code) -> {
          Json.put(to, "code", code.name());
          Json.put(to, "means", code.means());
          Json.objects(
              to,
              "answers",
              code.answers(),
              (at, answer) -> {
                Json.put(at, "errno", answer.errno().name());
                Json.put(at, "calls", answer.calls());
              });
          Json.put(to, "fixes", code.fixes());
        });
    Json.objects(
        g,
        "symptoms",
        found.symptoms(),
        (to, symptom) -> {
          Json.put(to, "title", symptom.title());
          Json.put(to, "causes", symptom.causes());
          Json.put(to, "fixes", symptom.fixes());
          Json.put(to, "foreseeable", symptom.foreseeable());
          Json.put(to, "codes", symptom.codes());
        });
    Json.put(g, "suggestions", found.near());
    g.writeEndObject();
  }
}
