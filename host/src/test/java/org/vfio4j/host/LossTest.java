// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.input.BadInputException;

/**
 * What happens to a text on its way to us does not change what is read, or the loss is told: each
 * text that people brought, damaged as terminals, mail programs, web pages and hands damage texts.
 *
 * <p>{@code -Dvfio4j.loss.lines=0} damages every line of every text; without it so many lines of
 * each, spread over it.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class LossTest {

  private static final int LINES = Integer.getInteger("vfio4j.loss.lines", 6);
  private static final Pattern HEADING =
      Pattern.compile("(?i)[# ]*(?:iommu )?group:? [0-9]+(?::?[# ]*|: +\\[.*)");
  private static final String NOISE = "I am not sure about this one, can somebody help?";

  /** What was read of a text: hosts, or nothing and why. */
  private record Read(List<HostTopology> hosts, int losses, Optional<String> refused) {

    static Read of(String text) {
      try {
        List<HostTopology> hosts =
            HostSource.parse("file", "file", text.getBytes(StandardCharsets.UTF_8));
        int losses = hosts.stream().mapToInt(h -> h.losses().size()).sum();
        return new Read(hosts, losses, Optional.empty());
      } catch (BadInputException e) {
        return new Read(List.of(), 0, Optional.of(String.valueOf(e.getMessage())));
      }
    }

    /** What counts: all but names in words, and lines that are quoted. */
    List<HostTopology> facts() {
      return hosts.stream().map(HostTopology::withoutDescriptions).toList();
    }

    boolean toldMoreThan(Read other) {
      return refused.isPresent() || losses > other.losses;
    }
  }

  private final Map<String, int[]> figures = new LinkedHashMap<>();

  static Stream<Path> texts() throws IOException {
    List<Path> all = new ArrayList<>();
    Path reports = Folders.fixtures().resolve("../../docs/reports").normalize();
    try (Stream<Path> files = Files.walk(reports)) {
      files
          .filter(f -> f.toString().matches(".*/(?:r-|f|g|ansi|lspci|paren)[^/]*\\.(?:txt|xml)"))
          .sorted()
          .forEach(all::add);
    }
    if (Folders.captures().isPresent()) {
      try (Stream<Path> files = Files.list(Folders.captures().get())) {
        files.filter(f -> f.toString().endsWith(".txt")).sorted().forEach(all::add);
      }
    }
    return all.stream();
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readString(file).lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(List<String> lines) {
    return String.join("\n", lines) + "\n";
  }

  /** The lines to damage: all, or so many of them. */
  private static List<Integer> chosen(int size) {
    int step = LINES == 0 ? 1 : Math.max(1, size / LINES);
    return Stream.iterate(0, i -> i < size, i -> i + step).toList();
  }

  private static Map<String, UnaryOperator<List<String>>> ways() {
    Map<String, UnaryOperator<List<String>>> ways = new LinkedHashMap<>();
    ways.put("coloured", l -> each(l, s -> "\u001b[1;31m" + s + "\u001b[0m\u001b[K"));
    ways.put("escapes without the escape", l -> each(l, s -> "[1m" + s + "[0m"));
    ways.put(
        "addresses coloured",
        l ->
            each(
                l,
                s ->
                    s.replaceAll(
                        "([0-9a-f]{2}:[0-9a-f]{2}\\.[0-7])",
                        "\u001b[01;31m\u001b[K$1\u001b[m\u001b[K")));
    ways.put("quoted", l -> each(l, s -> "> " + s));
    ways.put("quoted twice", l -> each(l, s -> ">> " + s));
    ways.put("quoted without a blank", l -> each(l, s -> ">" + s));
    ways.put("only the first line quoted", l -> mapFirst(l, s -> "> " + s));
    ways.put("fenced", l -> around(l, "```", "```"));
    ways.put("fenced as text", l -> around(l, "~~~text", "~~~"));
    ways.put("bold", l -> each(l, s -> s.isBlank() ? s : "**" + s.strip() + "**"));
    ways.put("in backticks", l -> each(l, s -> s.isBlank() ? s : "`" + s + "`"));
    ways.put("escaped for Markdown", l -> each(l, s -> s.replace("[", "\\[").replace("_", "\\_")));
    ways.put("escaped for HTML", l -> each(l, s -> s.replace("&", "&amp;").replace(">", "&gt;")));
    ways.put("no-break spaces", l -> each(l, s -> s.replace(' ', '\u00a0')));
    ways.put("carriage returns", l -> each(l, s -> s + "\r"));
    ways.put("byte order mark", l -> mapFirst(l, s -> "\ufeff" + s));
    ways.put("blanks at the end", l -> each(l, s -> s + "   "));
    ways.put("indented", l -> each(l, s -> s.isBlank() ? s : "    " + s));
    ways.put("wrapped at 72", l -> wrap(l, 72, true));
    ways.put("wrapped at 80", l -> wrap(l, 80, true));
    ways.put("wrapped by a window of 80", l -> wrap(l, 80, false));
    ways.put("cut by a window of 80", l -> each(l, s -> s.length() > 80 ? s.substring(0, 80) : s));
    return ways;
  }

  private static List<String> each(List<String> lines, UnaryOperator<String> change) {
    return lines.stream().map(change).toList();
  }

  private static List<String> mapFirst(List<String> lines, UnaryOperator<String> change) {
    List<String> changed = new ArrayList<>(lines);
    changed.set(0, change.apply(changed.getFirst()));
    return changed;
  }

  private static List<String> around(List<String> lines, String before, String after) {
    List<String> changed = new ArrayList<>(lines);
    changed.addFirst(before);
    changed.addLast(after);
    return changed;
  }

  private static List<String> wrap(List<String> lines, int width, boolean atBlanks) {
    List<String> wrapped = new ArrayList<>();
    for (String line : lines) {
      String rest = line;
      while (rest.length() > width) {
        int blank = rest.lastIndexOf(' ', width);
        int at = atBlanks && blank > rest.length() - rest.stripLeading().length() ? blank : width;
        wrapped.add(rest.substring(0, at));
        rest = rest.substring(atBlanks && at == blank ? at + 1 : at);
      }
      wrapped.add(rest);
    }
    return wrapped;
  }

  private void count(String way, Read before, Read after, boolean same) {
    int[] row = figures.computeIfAbsent(way, w -> new int[3]);
    row[0]++;
    row[1] += same ? 1 : 0;
    row[2] += after.toldMoreThan(before) ? 1 : 0;
  }

  @ParameterizedTest
  @MethodSource("texts")
  void shouldReadATextThatWasDamagedOrTellIt(Path file) {
    List<String> lines = lines(file);
    Read before = Read.of(text(lines));
    List<String> silent = new ArrayList<>();
    ways()
        .forEach(
            (way, change) -> {
              Read after = Read.of(text(change.apply(lines)));
              boolean same = after.facts().equals(before.facts());
              count(way, before, after, same);
              if (!same && !after.toldMoreThan(before)) {
                silent.add(way + ": " + difference(before, after));
              }
            });
    silent.forEach(l -> System.out.println("silent " + file.getFileName() + " " + l));
    assertThat(silent).as(file.getFileName().toString()).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("texts")
  void shouldReadATextWithALineTwiceOrNoiseBetweenOrTellIt(Path file) {
    List<String> lines = lines(file);
    Read before = Read.of(text(lines));
    List<String> silent = new ArrayList<>();
    for (int at : chosen(lines.size())) {
      for (String added : List.of(lines.get(at), NOISE, "")) {
        List<String> changed = new ArrayList<>(lines);
        changed.add(at + 1, added);
        Read after = Read.of(text(changed));
        boolean same = after.facts().equals(before.facts());
        String way =
            added.equals(NOISE)
                ? "noise between"
                : added.isEmpty() ? "empty line between" : "line twice";
        count(way, before, after, same);
        if (!same && !after.toldMoreThan(before)) {
          silent.add(
              "%s %d '%s': %s".formatted(way, at + 1, lines.get(at), difference(before, after)));
        }
      }
    }
    silent.forEach(l -> System.out.println("silent " + file.getFileName() + " " + l));
    assertThat(silent).as(file.getFileName().toString()).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("texts")
  void shouldChangeOnlyWhatADroppedLineSaid(Path file) {
    List<String> lines = lines(file);
    Read before = Read.of(text(lines));
    List<String> silent = new ArrayList<>();
    for (int at : chosen(lines.size())) {
      List<String> changed = new ArrayList<>(lines);
      String dropped = changed.remove(at);
      Read after = Read.of(text(changed));
      List<String> wrong = wrong(before, after, about(lines, at));
      count("line dropped", before, after, wrong.isEmpty());
      boolean heading =
          !dropped.isBlank() && HEADING.matcher(TextLine.of(dropped).getFirst().bare()).matches();
      if (!wrong.isEmpty() && !after.toldMoreThan(before)) {
        if (heading && wrong.stream().allMatch(w -> w.startsWith("group "))) {
          // What stood below now seems to stand below the heading before: nothing shows it, and a
          // bigger group can only be refused more.
          count("heading dropped, unseen", before, after, false);
        } else {
          silent.add("%d '%s': %s".formatted(at + 1, dropped, wrong));
        }
      }
    }
    silent.forEach(l -> System.out.println("silent " + file.getFileName() + " " + l));
    assertThat(silent).as(file.getFileName().toString()).isEmpty();
  }

  /** The function that a line tells of: the one it names, or the last that was named before it. */
  private static Optional<PciAddress> about(List<String> lines, int at) {
    for (int i = at; i >= 0; i--) {
      Optional<PciAddress> named = ListingEntry.addressIn(lines.get(i));
      if (named.isPresent()) {
        return named;
      }
    }
    return Optional.empty();
  }

  /** What is said otherwise than before of functions that the line is not about. */
  private static List<String> wrong(Read before, Read after, Optional<PciAddress> about) {
    List<String> wrong = new ArrayList<>();
    if (after.hosts().size() != before.hosts().size()) {
      return after.refused().isPresent() ? List.of() : List.of("another number of hosts");
    }
    for (int i = 0; i < before.hosts().size(); i++) {
      HostTopology was = before.hosts().get(i);
      HostTopology is = after.hosts().get(i);
      for (PciFunction function : is.functions()) {
        if (about.filter(function.address()::equals).isEmpty()) {
          was.function(function.address())
              .ifPresentOrElse(
                  f -> wrong.addAll(differences(f, function)),
                  () -> wrong.add("new function " + function.address()));
        }
      }
    }
    return wrong;
  }

  private static List<String> differences(PciFunction was, PciFunction is) {
    List<String> found = new ArrayList<>();
    compare(found, "group", was.group(), is.group());
    compare(found, "driver", was.driver(), is.driver());
    compare(found, "parent", was.parent(), is.parent());
    if (is.id().isPresent() && !is.id().equals(was.id())) {
      found.add(is.address() + " id " + is.id());
    }
    if (is.classCode().isPresent() && !is.classCode().equals(was.classCode())) {
      found.add(is.address() + " class " + is.classCode());
    }
    return found;
  }

  private static void compare(List<String> found, String part, Fact<?> was, Fact<?> is) {
    if (!is.isUnknown() && !is.equals(was)) {
      found.add(part + " " + was + " is now " + is);
    }
  }

  private static String difference(Read before, Read after) {
    List<String> is = new ArrayList<>(rows(after));
    is.removeAll(rows(before));
    List<String> was = new ArrayList<>(rows(before));
    was.removeAll(rows(after));
    return "was " + head(was) + ", is " + head(is);
  }

  private static String head(List<String> rows) {
    return rows.size() + " of which " + rows.stream().limit(1).toList();
  }

  private static List<String> rows(Read read) {
    return read.facts().stream()
        .map(CaptureWriter::write)
        .flatMap(String::lines)
        .map(String::strip)
        .toList();
  }

  @Test
  void shouldListFormsThatAreWhatTheySay() {
    SaysNothing list = SaysNothing.load();
    assertThat(list.forms()).hasSizeGreaterThan(5);
    for (SaysNothing.Form form : list.forms()) {
      assertThat(form.pattern().matcher(form.sample()).lookingAt()).as(form.sample()).isTrue();
      assertThat(SaysNothing.namesSomething(form.sample())).as(form.sample()).isTrue();
    }
  }

  @org.junit.jupiter.api.AfterAll
  void printFigures() {
    figures.forEach(
        (way, row) ->
            System.out.printf(
                "%-32s %6d tried, %6d the same, %6d told%n", way, row[0], row[1], row[2]));
  }
}
