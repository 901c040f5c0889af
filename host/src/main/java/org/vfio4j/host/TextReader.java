// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.host.HostBuilder.Place;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

/**
 * Reads text that people paste: output of lspci, listings of groups in several shapes, kernel logs,
 * and prose between them. A text may hold several hosts: under headings, under sentences that name
 * a kernel, or one listing after the other.
 */
final class TextReader {

  private static final int MAX_LINE = 8192;
  private static final int MAX_ENTRIES = 100_000;
  private static final Pattern COMMENT = Pattern.compile("# (?:[a-z ]{1,40}: ?.*|\\(.*)");
  private static final Pattern CUT =
      Pattern.compile("(?i)[0-9a-f:.]{1,12}|io?m?m?u?|iommu g?r?o?u?p?|gr?o?u?p?|\\[[^\\]]*");
  private static final Pattern CUT_LOG =
      Pattern.compile(
          "\\[ *[0-9][0-9.]{0,16}(?:\\] ?[\\w-]{0,40}(?: [0-9a-fA-F:.]{0,16}(?:"
              + " A?d?d?i?n?g?)?)?)?");
  private static final Pattern WRAPPED_TAIL =
      Pattern.compile("(?:\\(?rev )?[0-9a-f]{2}\\)(?: \\(prog-if .*)?|\\(prog-if .*");
  private static final Pattern HEADING = Pattern.compile("#{1,6} +(\\S.*)");
  private static final Pattern KERNEL =
      Pattern.compile(
          "(?i)\\b(?:kernel|linux|with)\\s+v?([0-9]+\\.[0-9]+(?:\\.[0-9]+){0,4}(?:-[\\w.]*\\w)?)");
  private static final Pattern BOOT_IMAGE = Pattern.compile(".*BOOT_IMAGE=\\S*vmlinuz-(\\S+).*");
  private static final Pattern GROUP =
      Pattern.compile(
          "\\s*(?:IOMMU\\s+)?Group:?\\s+([0-9]{1,9})\\s*:?(|\\s+.*)", Pattern.CASE_INSENSITIVE);
  private static final Pattern MEMBER = Pattern.compile("\\s*Group Device:\\s*(\\S+)\\s+-\\s+(.*)");
  private static final Pattern UNIT = Pattern.compile("\\s*IOMMU: (\\S+)\\s*");
  private static final Pattern PATH =
      Pattern.compile(".*/iommu_groups/([0-9]{1,9})/(devices/(\\S+)|reserved_regions)(.*)");

  /** An entry that seems to go on in the next line. */
  private record Open(String text, int line, int pieces) {}

  private final String source;
  private final Map<String, TextSection> sections = new LinkedHashMap<>();
  private TextSection section;
  private int quoteDepth;
  private int sectionDepth;
  private Optional<String> label = Optional.empty();
  private Optional<String> bootImage = Optional.empty();
  private Optional<Open> open = Optional.empty();
  private Optional<LspciDetails> function = Optional.empty();
  private Optional<Integer> group = Optional.empty();
  private Optional<String> unit = Optional.empty();
  private int heading;
  private int emptyHeadingLine;
  private Optional<Integer> regionsOf = Optional.empty();
  private int number;
  private int entries;
  private boolean lastLineUnderstood;
  private String lastLine = "";

  private TextReader(String source) {
    this.source = source;
    this.section = new TextSection(source);
    sections.put("0/", section);
  }

  /** Reads the hosts of a text. */
  static List<HostTopology> read(String source, String name, String text) {
    TextReader reader = new TextReader(source);
    text.lines().forEach(reader::line);
    reader.end(text.endsWith("\n") || text.endsWith("\r"));
    return reader.hosts(name);
  }

  private void line(String raw) {
    number++;
    // Mail programs turn the blanks of an indentation into no-break spaces.
    String line = raw.replace('\u00a0', ' ').stripTrailing();
    int text = 0;
    quoteDepth = 0;
    while (text < line.length() && line.charAt(text) == '>') {
      quoteDepth++;
      text += line.startsWith("> ", text) ? 2 : 1;
    }
    lastLine = line.strip();
    lastLineUnderstood = true;
    content(line.length() > MAX_LINE ? "(too long)" : line.substring(text));
  }

  private void content(String line) {
    String text = line.strip();
    if (open.isPresent() && goesOn(line, text)) {
      return;
    }
    if (text.isEmpty()) {
      function = Optional.empty();
      regionsOf = Optional.empty();
      return;
    }
    if (detail(line) || region(text) || groupLine(line) || entry(line, text) || path(line)) {
      return;
    }
    if (LogLines.accepts(line)) {
      logLine(line);
    } else if (Character.isWhitespace(line.charAt(0)) && function.isPresent()) {
      function.get().add(line);
      lastLineUnderstood = text.startsWith("Kernel ") || text.startsWith("Subsystem: ");
    } else if (!isNeutral(text)) {
      prose(text);
    }
  }

  private static boolean isNeutral(String text) {
    return text.startsWith("```")
        || text.startsWith("USB:")
        || COMMENT.matcher(text).matches()
        || WRAPPED_TAIL.matcher(text).matches();
  }

  private void prose(String text) {
    lastLineUnderstood = false;
    group = Optional.empty();
    unit = Optional.empty();
    function = Optional.empty();
    Matcher title = HEADING.matcher(text);
    if (title.matches()) {
      label = Optional.of(slug(title.group(1)));
    } else {
      Matcher kernel = KERNEL.matcher(text);
      if (kernel.find()) {
        label = Optional.of("kernel-" + kernel.group(1));
      }
    }
    Matcher image = BOOT_IMAGE.matcher(text);
    if (image.matches()) {
      bootImage = Optional.of(image.group(1));
    }
  }

  private static String slug(String title) {
    String words = title.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9.]+", "-");
    return words.replaceAll("^-|-$", "");
  }

  private Place here() {
    return new Place(number, "");
  }

  /** Goes to the section that the prose before the line names, if it names any. */
  private void choose() {
    if (label.isPresent() || quoteDepth != sectionDepth) {
      String key = quoteDepth + "/" + label.orElse("");
      TextSection known = sections.get(key);
      if (known == null) {
        known = new TextSection(source);
        sections.put(key, known);
      } else if (known != section) {
        known.takeUpAgain();
      }
      section = known;
      sectionDepth = quoteDepth;
      label = Optional.empty();
    }
    bootImage.ifPresent(section.host()::kernel);
    bootImage = Optional.empty();
  }

  private void startSection(String kind) {
    section = new TextSection(source);
    sections.put(sectionDepth + "/" + kind + "-" + (sections.size() + 1), section);
  }

  private boolean detail(String line) {
    OptionalInt named = LspciDetails.groupOf(line);
    if (named.isEmpty() || function.isEmpty()) {
      return false;
    }
    section.groupLine(function.get().address(), named.getAsInt(), here());
    return true;
  }

  private boolean groupLine(String line) {
    Matcher unitLine = UNIT.matcher(line);
    if (unitLine.matches()) {
      unit = Optional.of(unitLine.group(1));
      group = Optional.empty();
      return true;
    }
    Matcher m = GROUP.matcher(line);
    if (!m.matches()) {
      return false;
    }
    String rest = m.group(2).strip();
    if (!rest.isEmpty() && !ListingEntry.begins(rest)) {
      return false;
    }
    function = Optional.empty();
    group = Optional.of(Integer.parseInt(m.group(1)));
    heading++;
    emptyHeadingLine = rest.isEmpty() ? number : 0;
    if (!rest.isEmpty()) {
      tryEntry(rest, number, 1);
      boolean continued = rest.startsWith("[");
      group = continued || open.isPresent() ? group : Optional.empty();
    }
    return true;
  }

  private boolean entry(String line, String text) {
    Matcher member = MEMBER.matcher(line);
    if (member.matches()) {
      return tryEntry(member.group(1) + " " + member.group(2), number, 1);
    }
    return tryEntry(text, number, 1);
  }

  private boolean tryEntry(String text, int line, int pieces) {
    Optional<ListingEntry> entry = ListingEntry.parse(text, group.isPresent());
    if (entry.isEmpty()) {
      return false;
    }
    if (entry.get().complete()) {
      add(entry.get(), line);
    } else {
      open = Optional.of(new Open(text, line, pieces));
    }
    return true;
  }

  /** Whether the line belongs to the entry that is open; if not, the entry is closed. */
  private boolean goesOn(String line, String text) {
    Open before = open.orElseThrow();
    open = Optional.empty();
    boolean other =
        text.isEmpty()
            || before.pieces() > 3
            || ListingEntry.begins(text)
            || GROUP.matcher(line).matches()
            || LogLines.stamp(line).isPresent();
    if (!other && tryEntry(before.text() + " " + text, before.line(), before.pieces() + 1)) {
      return true;
    }
    closeOpen(before);
    return false;
  }

  private void closeOpen(Open before) {
    ListingEntry.parse(before.text(), group.isPresent())
        .ifPresent(entry -> add(entry, before.line()));
  }

  private void add(ListingEntry entry, int line) {
    Place place = new Place(line, "");
    if (++entries > MAX_ENTRIES) {
      throw section.host().error(place, "", "more than " + MAX_ENTRIES + " entries: no capture");
    }
    choose();
    if (group.isPresent()) {
      if (section.restartsGroups(entry.address(), group.get(), heading)) {
        startSection("listing");
      }
      emptyHeadingLine = 0;
      function = Optional.of(section.addGrouped(entry, group.get(), heading, unit, place));
    } else {
      if (section.restartsListing(entry.address())) {
        startSection("listing");
      }
      function = Optional.of(section.addListed(entry, place));
    }
  }

  private boolean path(String line) {
    Matcher m = line.contains("/iommu_groups/") ? PATH.matcher(line) : PATH.matcher("");
    if (!m.matches()) {
      return false;
    }
    choose();
    int id = Integer.parseInt(m.group(1));
    if (m.group(3) != null) {
      section.host().member(id, m.group(3).replaceFirst("/.*", ""), here());
    } else {
      regionsOf = Optional.of(id);
      if (m.group(4).startsWith(":")) {
        region(m.group(4).substring(1));
      }
    }
    return true;
  }

  private boolean region(String text) {
    if (regionsOf.isEmpty() || !text.startsWith("0x")) {
      return false;
    }
    int id = regionsOf.get();
    ReservedRegion.parse(text).ifPresent(r -> section.addRegion(id, r, here()));
    return true;
  }

  private void logLine(String line) {
    group = Optional.empty();
    function = Optional.empty();
    if (LogLines.namesDevice(line)) {
      label = label.filter(l -> !l.startsWith("kernel-"));
      choose();
    }
    OptionalDouble stamp = LogLines.stamp(line);
    if (section.restartsLog(line, stamp)) {
      startSection("boot");
    }
    section.addLogLine(line, stamp, here());
  }

  private void end(boolean terminated) {
    if (open.isPresent()) {
      throw new BadInputException(
          source, open.get().line(), "", "the listing ends inside this entry: cut off?");
    }
    if (emptyHeadingLine > 0) {
      throw new BadInputException(
          source, emptyHeadingLine, "", "the listing ends after the heading of a group: cut off?");
    }
    if (sections.values().stream().allMatch(s -> s.host().isEmpty())) {
      return;
    }
    boolean detail = function.isPresent() && !lastLineUnderstood;
    boolean log = CUT_LOG.matcher(lastLine).matches();
    if (!terminated && (log || detail || !lastLineUnderstood && CUT.matcher(lastLine).matches())) {
      throw new BadInputException(source, number, "", "the last line is cut off");
    }
  }

  private List<HostTopology> hosts(String name) {
    boolean anyGroups = sections.values().stream().anyMatch(s -> s.host().hasGroups());
    Map<String, TextSection> kept = new LinkedHashMap<>();
    sections.forEach(
        (key, s) -> {
          if (!s.host().isEmpty() && (s.host().hasGroups() || !anyGroups)) {
            kept.put(key.substring(key.indexOf('/') + 1), s);
          }
        });
    if (kept.isEmpty()) {
      throw new BadInputException(
          source,
          0,
          "",
          "no host found: neither a capture, a umockdev recording, output of lspci, a listing of"
              + " IOMMU groups nor a kernel log");
    }
    List<HostTopology> hosts = new ArrayList<>();
    kept.forEach(
        (key, s) -> {
          if (kept.size() > 1 && key.startsWith("kernel-") && s.host().kernel().isEmpty()) {
            s.host().kernel(key.substring("kernel-".length()));
          }
          String plain = (s.hasLog() ? "boot-" : "listing-") + (hosts.size() + 1);
          boolean numbered = key.isEmpty() || key.matches("(listing|boot)-[0-9]+");
          hosts.add(s.finish(kept.size() == 1 ? name : numbered ? plain : key));
        });
    return hosts;
  }
}
