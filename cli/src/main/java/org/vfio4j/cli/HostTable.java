// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.ToIntFunction;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import picocli.CommandLine.Help.Ansi.Style;

/** The functions of a host as a table, sorted by group. */
final class HostTable {

  private static final int GROUP = 5;
  private static final int MAX_DRIVER = 18;

  private final Console console;
  private final HostTopology host;
  private final SequencedMap<Integer, GroupFacts> groups;
  private final DeviceNotes notes;
  private final int addressWidth;
  private final int classWidth;
  private final int driverWidth;

  HostTable(Console console, HostTopology host, SequencedMap<Integer, GroupFacts> groups) {
    this.console = console;
    this.host = host;
    this.groups = groups;
    this.notes = new DeviceNotes(host);
    this.addressWidth = widest(f -> Text.width(f.address().toString()), "DEVICE");
    this.classWidth = widest(f -> Text.width(Words.classOf(f)), "CLASS");
    this.driverWidth = Math.min(MAX_DRIVER, widest(f -> Text.width(driver(f)), "DRIVER"));
  }

  private int widest(ToIntFunction<PciFunction> width, String title) {
    return Math.max(title.length(), host.functions().stream().mapToInt(width).max().orElse(0));
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
    String title =
        Text.padLeft("GROUP", GROUP)
            + "    "
            + Text.pad("DEVICE", addressWidth)
            + "  "
            + Text.pad("ID", 9)
            + "  "
            + Text.pad("CLASS", classWidth)
            + "  "
            + Text.pad("DRIVER", driverWidth)
            + "  NOTES";
    console.out().println(console.paint(Style.bold, title));
    groups.values().forEach(this::printGroup);
    for (PciFunction function : host.functions()) {
      if (function.group().value().isEmpty()) {
        row(
            console.paint(Style.faint, Text.padLeft(function.group().isNone() ? "-" : "?", GROUP)),
            " ",
            function);
      }
    }
  }

  private void printGroup(GroupFacts group) {
    int size = group.members().size() + group.others().size();
    for (int i = 0; i < size; i++) {
      String number = i == 0 ? Integer.toString(group.id()) : "";
      String cell = console.paint(group.holding().style(), Text.padLeft(number, GROUP));
      if (i < group.members().size()) {
        row(cell, bracket(i, size), group.members().get(i));
      } else {
        String other = Text.printable(group.others().get(i - group.members().size()));
        console.out().println(cell + " " + bracket(i, size) + "  " + other + "  (no PCI function)");
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

  private void row(String group, String bracket, PciFunction function) {
    Holding holding = Holding.of(host, function);
    String before = " " + bracket + "  ";
    String ids = Text.pad(function.id().map(Object::toString).orElse("?"), 9);
    String driver = Text.pad(Text.cut(driver(function), driverWidth), driverWidth);
    int used = GROUP + before.length() + addressWidth + 9 + classWidth + driverWidth + 8;
    List<String> lines = noteLines(function, Math.max(12, console.width() - used));
    String row =
        Text.pad(function.address().toString(), addressWidth)
            + "  "
            + ids
            + "  "
            + Text.pad(Words.classOf(function), classWidth)
            + "  "
            + console.paint(holding.style(), driver)
            + "  ";
    String first = lines.isEmpty() ? "" : lines.getFirst();
    console.out().println((group + before + row + first).stripTrailing());
    lines.stream().skip(1).forEach(l -> console.out().println(" ".repeat(used) + l));
  }

  /** The notes and, where a line is left for it, the name in words. */
  private List<String> noteLines(PciFunction function, int room) {
    List<String> all = notes.of(function);
    List<String> lines = new ArrayList<>();
    if (!all.isEmpty()) {
      lines.addAll(Text.wrap(String.join("; ", all), room));
    } else {
      function.description().ifPresent(d -> lines.add(Text.cut(Text.printable(d), room)));
    }
    return lines;
  }
}
