// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.IommuState;
import org.vfio4j.host.Loss;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;
import org.vfio4j.host.Role;
import picocli.CommandLine.Help.Ansi.Style;

/** A host for a reader: a table on a wide screen, blocks on a narrow one. */
final class HostText {

  /** Columns that the table needs. */
  private static final int WIDE = 80;

  private static final int MAX_LOSSES = 5;
  private static final int LOSS_TEXT = 120;

  private final Console console;
  private final HostTopology host;
  private final PciIds names;
  private final SequencedMap<Integer, GroupFacts> groups;

  HostText(Console console, HostTopology host, PciIds names) {
    this.names = names;
    this.console = console;
    this.host = host;
    this.groups = GroupFacts.of(host);
  }

  /** Prints all of it. */
  void print() {
    printHead();
    if (console.width() >= WIDE) {
      new HostTable(console, host, groups, names).print();
    } else {
      new HostBlocks(console, host, groups, names).print();
    }
    new MdevText(console, host).print();
    printShared();
    printSummary();
    printIommu();
    printLosses();
  }

  /** Why there is no IOMMU, or why it is not known, and what to do. */
  private void printIommu() {
    IommuState state = IommuState.of(host);
    if (state.answer() == IommuState.Answer.ON && state.advice().isEmpty()) {
      return;
    }
    console.out().println();
    String head =
        switch (state.answer()) {
          case ON -> "The IOMMU is on.";
          case OFF -> "The IOMMU is off, or there is none.";
          case UNKNOWN -> "Whether the IOMMU is on the source does not say.";
        };
    heading(head);
    state.because().forEach(b -> console.out().println(Text.wrap(b, console.width(), "  ", "  ")));
    state
        .advice()
        .forEach(a -> console.out().println(Text.wrap(a, console.width(), "  - ", "    ")));
  }

  /** Lines of the source that name something of the host and do not count above. */
  private void printLosses() {
    List<Loss> losses = host.losses();
    if (losses.isEmpty()) {
      return;
    }
    console.out().println();
    String head = Text.count(losses.size(), "line") + " of the source not counted above";
    heading(head);
    for (Loss loss : losses.subList(0, Math.min(MAX_LOSSES, losses.size()))) {
      String text = Text.cut(Text.printable(loss.text()), LOSS_TEXT);
      String line = loss.line() == 0 ? "" : "line " + loss.line() + ": ";
      String shown = line + loss.reason().sentence() + ": " + text;
      console.out().println(Text.wrap(shown, console.width(), "  ", "      "));
    }
    if (losses.size() > MAX_LOSSES) {
      console.out().println("  and " + (losses.size() - MAX_LOSSES) + " more: --json has all");
    }
  }

  private void printHead() {
    List<String> counts = new ArrayList<>();
    counts.add(Text.count(host.functions().size(), "function"));
    counts.add(Text.count(host.groups().size(), "group"));
    if (!host.mdevs().isEmpty()) {
      counts.add(Text.count(host.mdevs().size(), "mediated device"));
    }
    if (!host.mdevDefinitions().isEmpty()) {
      counts.add(Text.count(host.mdevDefinitions().size(), "definition") + " of mdevctl");
    }
    String name = Text.printable(host.name());
    line(name + ": ", String.join(", ", counts) + "; from " + Words.of(host.origin()), Style.bold);
    host.kernel().ifPresent(k -> line("kernel: ", Text.printable(k), Style.faint));
    String iommu = iommu(host.iommu());
    if (!iommu.isEmpty()) {
      line("IOMMU: ", iommu, Style.faint);
    }
    String kept =
        host.roles().carriers().entrySet().stream()
            .filter(e -> !e.getValue().isEmpty())
            .map(e -> role(e.getKey(), e.getValue()))
            .collect(Collectors.joining(", "));
    if (!kept.isEmpty()) {
      line("kept by the host: ", kept, Style.fg_red);
    }
    if (host.partial()) {
      line("note: ", "the source shows only a part of the machine", Style.faint);
    }
    console.out().println();
  }

  private static String role(Role role, List<?> carriers) {
    return Words.of(role)
        + " "
        + carriers.stream().map(Object::toString).collect(Collectors.joining(" and "));
  }

  private static String iommu(IommuFacts iommu) {
    List<String> facts = new ArrayList<>();
    say(facts, iommu.interruptRemapping(), "interrupt remapping on", "NO INTERRUPT REMAPPING");
    say(
        facts,
        iommu.cacheCoherency(),
        "DMA can snoop caches",
        "DMA cannot be made to snoop caches");
    iommu.addressWidth().ifPresent(bits -> facts.add(bits + " address bits"));
    say(facts, iommu.allowUnsafeInterrupts(), "allow_unsafe_interrupts is set", "");
    iommu.dmaEntryLimit().ifPresent(limit -> facts.add("dma_entry_limit " + limit));
    iommu
        .rmrrs()
        .filter(l -> !l.isEmpty())
        .ifPresent(l -> facts.add(Text.count(l.size(), "range") + " mapped for firmware (RMRR)"));
    return String.join(", ", facts);
  }

  private static void say(List<String> to, Optional<Boolean> fact, String yes, String no) {
    fact.map(f -> f ? yes : no).filter(s -> !s.isEmpty()).ifPresent(to::add);
  }

  /** A label, then text that may need several lines. */
  private void line(String label, String text, Style style) {
    int room = console.width() - Text.width(label);
    List<String> lines = Text.wrap(text, room);
    if (lines.stream().anyMatch(l -> Text.width(l) > room)) {
      console.out().println(console.paint(style, label.strip()));
      console.out().println(Text.wrap(text, console.width(), "  ", "  "));
      return;
    }
    String indent = " ".repeat(Text.width(label));
    for (int i = 0; i < lines.size(); i++) {
      console.out().println((i == 0 ? console.paint(style, label) : indent) + lines.get(i));
    }
  }

  private void printShared() {
    List<GroupFacts> shared = groups.values().stream().filter(GroupFacts::shared).toList();
    console.out().println();
    if (shared.isEmpty()) {
      if (!groups.isEmpty()) {
        plain("No group has more than one device to give away.");
      }
      return;
    }
    heading("These go to one owner only, together");
    int digits = shared.stream().mapToInt(g -> Integer.toString(g.id()).length()).max().orElse(1);
    for (GroupFacts group : shared) {
      String number = "  " + Text.padLeft(Integer.toString(group.id()), digits) + "  ";
      String text = members(group) + ": " + Text.printable(group.holder());
      List<String> lines = Text.wrap(text, Math.max(16, console.width() - Text.width(number)));
      for (int i = 0; i < lines.size(); i++) {
        String before =
            i == 0 ? console.paint(group.holding().style(), number) : " ".repeat(number.length());
        console.out().println(before + lines.get(i));
      }
    }
  }

  /** The endpoints of a group, functions of one device drawn together: {@code 0000:01:00.0-3}. */
  static String members(GroupFacts group) {
    List<String> names = new ArrayList<>();
    List<PciFunction> endpoints = group.endpoints();
    int from = 0;
    while (from < endpoints.size()) {
      int to = from;
      while (to + 1 < endpoints.size() && follows(endpoints.get(to), endpoints.get(to + 1))) {
        to++;
      }
      String first = endpoints.get(from).address().toString();
      names.add(to == from ? first : first + "-" + endpoints.get(to).address().function());
      from = to + 1;
    }
    group.others().forEach(o -> names.add(Text.printable(o)));
    return String.join(", ", names);
  }

  private static boolean follows(PciFunction a, PciFunction b) {
    return a.address().sameDevice(b.address())
        && a.address().function() + 1 == b.address().function();
  }

  private void printSummary() {
    Map<Holding, Integer> counts = new EnumMap<>(Holding.class);
    groups.values().forEach(g -> counts.merge(g.holding(), 1, Integer::sum));
    if (counts.isEmpty()) {
      boolean none = host.functions().stream().anyMatch(f -> f.group().isNone());
      plain(none ? "There are no IOMMU groups." : "The source shows no IOMMU groups.");
      return;
    }
    console.out().println();
    console.out().println(console.paint(Style.bold, "Groups by who holds them"));
    counts.forEach(
        (holding, count) -> {
          String number = Text.padLeft(Integer.toString(count), 5) + "  ";
          String indent = " ".repeat(number.length());
          List<String> lines = Text.wrap(holding.meaning(), console.width() - indent.length());
          for (int n = 0; n < lines.size(); n++) {
            String before = n == 0 ? number : indent;
            console.out().println(before + console.paint(holding.style(), lines.get(n)));
          }
        });
  }

  private void heading(String text) {
    console.out().println(console.paint(Style.bold, Text.wrap(text, console.width(), "", "  ")));
  }

  private void plain(String text) {
    console.out().println(Text.wrap(text, console.width(), "", "  "));
  }
}
