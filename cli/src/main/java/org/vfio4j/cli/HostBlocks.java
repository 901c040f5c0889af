// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;
import picocli.CommandLine.Help.Ansi.Style;

/** The functions of a host as blocks, one a group, for a narrow screen. */
final class HostBlocks {

  private final Console console;
  private final HostTopology host;
  private final SequencedMap<Integer, GroupFacts> groups;
  private final DeviceNotes notes;
  private final PciIds names;

  HostBlocks(
      Console console, HostTopology host, SequencedMap<Integer, GroupFacts> groups, PciIds names) {
    this.names = names;
    this.console = console;
    this.host = host;
    this.groups = groups;
    this.notes = new DeviceNotes(host);
  }

  void print() {
    for (GroupFacts group : groups.values()) {
      String title = console.paint(group.holding().style(), "group " + group.id());
      console.out().println(group.shared() ? title + ", shared" : title);
      group.members().forEach(this::printFunction);
      group.others().forEach(o -> console.out().println("  " + Text.printable(o)));
    }
    printWithout("in no group", host.functions().stream().filter(f -> f.group().isNone()).toList());
    printWithout(
        "group not known", host.functions().stream().filter(f -> f.group().isUnknown()).toList());
  }

  private void printWithout(String title, List<PciFunction> functions) {
    if (!functions.isEmpty()) {
      console.out().println(console.paint(Style.faint, title));
      functions.forEach(this::printFunction);
    }
  }

  private void printFunction(PciFunction function) {
    String address = function.address().toString();
    String what = Words.classOf(function);
    String driver = HostTable.driver(function);
    int room = console.width() - Text.width(address) - Text.width(what) - 6;
    Style style = Holding.of(host, function).style();
    List<String> more = new ArrayList<>();
    function.id().ifPresent(id -> more.add(id.toString()));
    more.addAll(notes.of(function));
    ProductName.shown(function, names).ifPresent(more::add);
    String head = "  " + address + "  " + what;
    if (Text.width(driver) <= room) {
      head += "  " + console.paint(style, driver);
    } else {
      more.addFirst(driver);
    }
    console.out().println(head);
    String text = String.join("; ", more);
    if (!text.isEmpty()) {
      Text.wrap(text, console.width() - 4).forEach(l -> console.out().println("    " + l));
    }
  }
}
