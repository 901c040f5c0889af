// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.host.MdevDefinition.Attribute;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * What {@code mdevctl list}, {@code mdevctl list -d} and {@code mdevctl types} print. The first two
 * print lines of one form; which it is, the marks of a listing tell, or the command above it.
 */
final class MdevctlText implements TextForm {

  private static final int UUID_LENGTH = 36;
  private static final Pattern ENTRY =
      Pattern.compile(
          "([0-9a-fA-F-]{36}) (\\S+) (\\S+)(?: (auto|manual))?(?: \\((defined|active)\\))?");
  private static final Pattern ATTRIBUTE = Pattern.compile("@\\{[0-9]+\\}: (\\{.*\\})");
  private static final Pattern INSTANCES = Pattern.compile("Available instances: ([0-9]{1,9})");
  private static final Pattern DETAIL =
      Pattern.compile("(Available instances|Device API|Name|Description): *(.*)");
  private static final Pattern LIST = Pattern.compile(".*\\b(?:mdevctl +list|lsmdev)\\b.*");
  private static final Pattern DEFINED_ONES =
      Pattern.compile(".*(?: --defined| -[a-z]*d[a-z]*)\\b.*");

  /** What a listing is of. */
  private enum Kind {
    ACTIVE,
    DEFINED,
    UNTOLD;

    static Kind of(String command) {
      if (!LIST.matcher(command).matches()) {
        return UNTOLD;
      }
      return DEFINED_ONES.matcher(command).matches() ? DEFINED : ACTIVE;
    }
  }

  /** A listing, of which more is known at its end. */
  private static final class Listing {
    private boolean active;
    private boolean defined;

    Kind kind(String command) {
      if (active != defined) {
        return active ? Kind.ACTIVE : Kind.DEFINED;
      }
      return active ? Kind.UNTOLD : Kind.of(command);
    }
  }

  /** A line for a device, and the lines below it. */
  private record Entry(
      Listing listing,
      UUID uuid,
      String parent,
      String type,
      Optional<Start> start,
      String mark,
      List<Attribute> attributes) {}

  /** A type, and the parent that stood above it. */
  private record Offer(String parent, MdevType type) {}

  private final Map<Integer, Entry> entries = new HashMap<>();
  private final Map<Integer, Offer> offers = new HashMap<>();
  private final Set<Integer> others = new HashSet<>();
  private final Set<Integer> heads = new HashSet<>();

  MdevctlText(List<TextLine> lines) {
    for (int i = 0; i < lines.size(); i++) {
      String text = lines.get(i).bare();
      if (isEntry(text)) {
        i = listing(lines, i) - 1;
      } else if (text.startsWith("Available") && INSTANCES.matcher(text).matches()) {
        offer(lines, i);
      }
    }
  }

  private static boolean isEntry(String text) {
    return text.length() > UUID_LENGTH
        && text.length() < TextLine.MAX_LENGTH
        && text.charAt(8) == '-'
        && ENTRY.matcher(text).matches();
  }

  /** Reads a listing that begins at a line, and says where it ends. */
  private int listing(List<TextLine> lines, int begin) {
    Listing listing = new Listing();
    List<Attribute> attributes = new ArrayList<>();
    int at = begin;
    for (; at < lines.size(); at++) {
      TextLine line = lines.get(at);
      Matcher attribute = ATTRIBUTE.matcher(line.bare());
      if (isEntry(line.bare())) {
        attributes = new ArrayList<>();
        entry(listing, line, attributes);
      } else if (line.bare().equals("Attrs:")) {
        others.add(line.number());
      } else if (attribute.matches() && attribute(attribute.group(1), attributes)) {
        others.add(line.number());
      } else {
        break;
      }
    }
    return at;
  }

  private void entry(Listing listing, TextLine line, List<Attribute> attributes) {
    Matcher m = ENTRY.matcher(line.bare());
    if (!m.matches()) {
      return;
    }
    Optional<UUID> uuid = Mdev.parseUuid(m.group(1));
    Optional<Start> start =
        Optional.ofNullable(m.group(4)).map(w -> w.equals("auto") ? Start.AUTO : Start.MANUAL);
    String mark = Optional.ofNullable(m.group(5)).orElse("");
    // An active device starts by itself only where it is defined, and then is marked so.
    listing.active |= mark.equals("defined") || start.isEmpty();
    listing.defined |=
        mark.equals("active") || start.equals(Optional.of(Start.AUTO)) && mark.isEmpty();
    uuid.ifPresent(
        u ->
            entries.put(
                line.number(),
                new Entry(listing, u, m.group(2), m.group(3), start, mark, attributes)));
  }

  private static boolean attribute(String json, List<Attribute> attributes) {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), bytes)) {
      attributes.add(MdevDefinition.attribute(TreeReader.read(parser, "")));
      return true;
    } catch (BadInputException _) {
      return false;
    }
  }

  /** A type stands above its instances, and the parent above its first type. */
  private void offer(List<TextLine> lines, int instances) {
    if (instances == 0 || !isWord(lines.get(instances - 1))) {
      return;
    }
    TextLine type = lines.get(instances - 1);
    int above = instances - 2;
    while (above >= 0 && isBelow(lines.get(above).number())) {
      above--;
    }
    if (above < 0 || !isWord(lines.get(above))) {
      return;
    }
    Map<String, String> details = new HashMap<>();
    for (int i = instances; i < lines.size(); i++) {
      Matcher detail = DETAIL.matcher(lines.get(i).bare());
      if (!detail.matches() || details.putIfAbsent(detail.group(1), detail.group(2)) != null) {
        break;
      }
      others.add(lines.get(i).number());
    }
    others.add(type.number());
    TextLine parent = lines.get(above);
    others.add(parent.number());
    heads.add(parent.number());
    offers.put(type.number(), new Offer(parent.bare(), type(type.bare(), details)));
  }

  private boolean isBelow(int number) {
    return others.contains(number) && !heads.contains(number);
  }

  private static boolean isWord(TextLine line) {
    return !line.isEmpty() && line.bare().chars().noneMatch(Character::isWhitespace);
  }

  private static MdevType type(String id, Map<String, String> details) {
    return new MdevType(
        id,
        Optional.ofNullable(details.get("Name")),
        Optional.ofNullable(details.get("Device API")),
        Optional.ofNullable(details.get("Available instances")).map(Integer::valueOf),
        Optional.ofNullable(details.get("Description")));
  }

  @Override
  public boolean take(TextLine line, TextReading reading) {
    Entry entry = entries.get(line.number());
    if (entry != null) {
      take(entry, line, reading);
      return true;
    }
    Offer offer = offers.get(line.number());
    if (offer != null) {
      tell(reading, offer.parent());
      reading.section().host().mdevType(offer.parent(), offer.type(), reading.here());
    }
    return offer != null || others.contains(line.number());
  }

  private static void take(Entry entry, TextLine line, TextReading reading) {
    Kind kind = entry.listing().kind(reading.command());
    if (kind == Kind.UNTOLD && entry.mark().isEmpty()) {
      reading.lost(line, Loss.Reason.AMBIGUOUS);
      return;
    }
    tell(reading, entry.parent());
    HostBuilder host = reading.section().host();
    if (kind == Kind.ACTIVE || !entry.mark().isEmpty()) {
      host.mdevAsListed(entry.uuid(), entry.parent(), Optional.of(entry.type()), reading.here());
    }
    boolean defined = kind == Kind.DEFINED || !entry.mark().isEmpty();
    try {
      entry.start().filter(_ -> defined).map(s -> definition(entry, s)).ifPresent(host::redefine);
    } catch (IllegalArgumentException _) {
      reading.lost(line, Loss.Reason.NOT_READ);
    }
  }

  private static MdevDefinition definition(Entry entry, Start start) {
    return new MdevDefinition(
        entry.uuid(), entry.parent(), entry.type(), start, entry.attributes());
  }

  /** Whether a command lists what is there, and not what is defined; empty for another command. */
  static Optional<Boolean> listsActive(String command) {
    return switch (Kind.of(command)) {
      case ACTIVE -> Optional.of(true);
      case DEFINED -> Optional.of(false);
      case UNTOLD -> Optional.empty();
    };
  }

  /** A parent that is a PCI function is one of the host. */
  static void tell(TextReading reading, String parent) {
    reading.count();
    PciAddress.tryParse(parent).ifPresent(reading::function);
  }
}
