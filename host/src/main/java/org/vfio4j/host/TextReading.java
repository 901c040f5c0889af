// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.host.HostBuilder.Place;

/**
 * What was read of a text so far: its sections, each of one host, and the lines that do not count.
 * A section ends where a listing or a log begins anew, and where the text names another machine.
 */
final class TextReading {

  /** As many entries as no text about a host has. */
  private static final int MAX_ENTRIES = 100_000;

  /** A line that does not count, and the section that it stands in. */
  record LostLine(TextSection section, Loss loss) {}

  private final String source;
  private final Map<String, TextSection> sections = new LinkedHashMap<>();
  private final List<LostLine> losses = new ArrayList<>();
  private TextSection section;
  private String sectionLabel = "";
  private Optional<String> label = Optional.empty();
  private Optional<String> kernel = Optional.empty();
  private String command = "";
  private int entries;
  private int line;

  TextReading(String source) {
    this.source = source;
    this.section = new TextSection(source);
    sections.put("", section);
  }

  /** Says which line is read now: what is refused is refused there. */
  void at(int number) {
    line = number;
  }

  Place here() {
    return new Place(line, "");
  }

  /** The command whose output this is, where the text shows it; else an empty text. */
  String command() {
    return command;
  }

  void command(String typed) {
    command = typed;
  }

  /** Says that what follows is of the machine or kernel with this name. */
  void label(String name) {
    label = Optional.of(name);
  }

  /** Says that what follows, or what stood before, runs on this kernel. */
  void kernel(String version) {
    kernel = Optional.of(version);
  }

  /** Forgets that the text named a kernel: a log names its own. */
  void forgetKernelLabel() {
    label = label.filter(l -> !l.startsWith("kernel-"));
  }

  /** The section that tells of the host here. */
  TextSection section() {
    if (label.isPresent() && !label.get().equals(sectionLabel)) {
      sectionLabel = label.get();
      TextSection known = sections.get(sectionLabel);
      if (known == null) {
        known = new TextSection(source);
        sections.put(sectionLabel, known);
      } else if (known != section) {
        known.takeUpAgain();
      }
      section = known;
    }
    label = Optional.empty();
    kernel.ifPresent(section.host()::kernel);
    kernel = Optional.empty();
    return section;
  }

  /** Begins a section because what is read begins anew. */
  TextSection startSection(String kind) {
    section = new TextSection(source);
    sections.put(sectionLabel + "\n" + kind + "-" + (sections.size() + 1), section);
    return section;
  }

  /** The function at this address, of which a form of text tells more. */
  PciFunction.Builder function(PciAddress address) {
    count();
    return section().host().function(address, here());
  }

  /** Says that a device is a member of this group. */
  void member(int group, String device) {
    count();
    section().host().member(group, device, here());
  }

  /** Counts an entry; there are only so many in a text about a host. */
  void count() {
    if (++entries > MAX_ENTRIES) {
      throw section.host().error(here(), "", "more than " + MAX_ENTRIES + " entries: no capture");
    }
  }

  /** Says that a line does not count. */
  void lost(TextLine text, Loss.Reason reason) {
    losses.add(new LostLine(section(), new Loss(text.number(), text.bare(), reason)));
  }

  Map<String, TextSection> sections() {
    return sections;
  }

  List<LostLine> losses() {
    return losses;
  }
}
