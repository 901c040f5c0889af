// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.ToIntFunction;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi.Style;
import picocli.CommandLine.Help.Column;
import picocli.CommandLine.Help.TextTable;

/** The functions of a host as a table, sorted by group. */
final class HostTable {

  private static final int GROUP = 5;
  private static final int BRACKET = 4;
  private static final int ID = 9;
  private static final int GAP = 2;
  private static final int MAX_DRIVER = 18;
  private static final int MIN_NOTES = 12;

  private final Console console;
  private final HostTopology host;
  private final SequencedMap<Integer, GroupFacts> groups;
  private final DeviceNotes notes;
  private final PciIds names;
  private final int driverWidth;
  private final int notesWidth;
  private final TextTable table;

  /** What is said beside each function, wrapped. */
  private final Map<PciAddress, List<String>> lines = new HashMap<>();

  HostTable(
      Console console, HostTopology host, SequencedMap<Integer, GroupFacts> groups, PciIds names) {
    this.names = names;
    this.console = console;
    this.host = host;
    this.groups = groups;
    this.notes = new DeviceNotes(host);
    int addressWidth = widest(f -> Text.width(f.address().toString()), "DEVICE");
    int classWidth = widest(f -> Text.width(Words.classOf(f)), "CLASS");
    this.driverWidth = Math.min(MAX_DRIVER, widest(f -> Text.width(driver(f)), "DRIVER"));
    int before = GROUP + BRACKET + addressWidth + ID + classWidth + driverWidth + 4 * GAP;
    this.notesWidth = Math.max(MIN_NOTES, console.width() - before);
    host.functions().forEach(f -> lines.put(f.address(), noteLines(f)));
    // A cell that is too long, as a member that is no PCI function, goes on over the next ones.
    this.table =
        console.table(
            column(GROUP),
            column(BRACKET),
            column(addressWidth + GAP),
            column(ID + GAP),
            column(classWidth + GAP),
            column(driverWidth + GAP),
            column(Math.max(notesWidth, longestWord())));
  }

  private static Column column(int width) {
    return new Column(width, 0, Column.Overflow.SPAN);
  }

  private int widest(ToIntFunction<PciFunction> width, String title) {
    return Math.max(title.length(), host.functions().stream().mapToInt(width).max().orElse(0));
  }

  /** Of a note, in columns: it gets a line of its own, however narrow the screen. */
  private int longestWord() {
    return lines.values().stream().flatMap(List::stream).mapToInt(Text::width).max().orElse(0);
  }

  /** The driver, {@code -} without one, {@code ?} where the source does not say. */
  static String driver(PciFunction function) {
    return switch (function.driver()) {
      case Fact.Known<String>(String driver) -> Text.printable(driver);
      case Fact.None<String>() -> "-";
      case Fact.Unknown<String>() -> "?";
    };
  }

  void print() {
    table.addRowValues(
        bold(Text.padLeft("GROUP", GROUP)),
        bold(""),
        bold("DEVICE"),
        bold("ID"),
        bold("CLASS"),
        bold("DRIVER"),
        bold("NOTES"));
    groups.values().forEach(this::addGroup);
    for (PciFunction function : host.functions()) {
      if (function.group().value().isEmpty()) {
        String group = Text.padLeft(function.group().isNone() ? "-" : "?", GROUP);
        add(console.styled(group, Style.faint), " ", function);
      }
    }
    console.print(table);
  }

  private Help.Ansi.Text bold(String text) {
    return console.styled(text, Style.bold);
  }

  private void addGroup(GroupFacts group) {
    int size = group.members().size() + group.others().size();
    for (int i = 0; i < size; i++) {
      String number = i == 0 ? Integer.toString(group.id()) : "";
      Help.Ansi.Text cell = console.styled(Text.padLeft(number, GROUP), group.holding().style());
      if (i < group.members().size()) {
        add(cell, bracket(i, size), group.members().get(i));
      } else {
        String other = Text.printable(group.others().get(i - group.members().size()));
        table.addRowValues(
            cell, bracketCell(bracket(i, size)), plain(other + "  (no PCI function)"));
      }
    }
  }

  private String bracket(int at, int size) {
    if (size == 1) {
      return " ";
    }
    if (at == 0) {
      return console.glyph("┬", "+");
    }
    return at == size - 1 ? console.glyph("└", "+") : console.glyph("├", "|");
  }

  private Help.Ansi.Text bracketCell(String bracket) {
    return plain(" " + bracket);
  }

  private Help.Ansi.Text plain(String text) {
    return console.styled(text);
  }

  private void add(Help.Ansi.Text group, String bracket, PciFunction function) {
    List<String> beside = lines.getOrDefault(function.address(), List.of());
    table.addRowValues(
        group,
        bracketCell(bracket),
        plain(function.address().toString()),
        plain(function.id().map(Object::toString).orElse("?")),
        plain(Words.classOf(function)),
        console.styled(Text.cut(driver(function), driverWidth), Holding.of(host, function).style()),
        plain(beside.isEmpty() ? "" : beside.getFirst()));
    Help.Ansi.Text empty = plain("");
    beside.stream()
        .skip(1)
        .forEach(l -> table.addRowValues(empty, empty, empty, empty, empty, empty, plain(l)));
  }

  /** The notes, and the name in words; alone, it is cut to one line. */
  private List<String> noteLines(PciFunction function) {
    List<String> all = new ArrayList<>(notes.of(function));
    Optional<String> name = ProductName.shown(function, names);
    if (all.isEmpty()) {
      return name.stream().map(n -> Text.cut(n, notesWidth)).toList();
    }
    name.ifPresent(all::add);
    return Text.wrap(String.join("; ", all), notesWidth);
  }
}
