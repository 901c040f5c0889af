// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** All messages of a text: what one leaves out, another may say. */
final class Scene {

  /** Things that are taken from another line, if all lines that name one name the same. */
  private static final List<String> SHARED =
      List.of(NamedThings.ADDRESS, "slot", "bus", NamedThings.GROUP, "region");

  private static final Pattern FAILURE =
      Pattern.compile(
          "\\b(?:errors?|fail(?:ed|s|ure)?|cannot|can't|could"
              + " not|couldn't|unable|refused|denied|fatal|invalid|timed? ?out|not"
              + " (?:found|supported|permitted))\\b");

  private final List<Statement> statements;
  private final Set<Speaker> speakers = EnumSet.noneOf(Speaker.class);
  private final Map<String, String> shared = new HashMap<>();

  Scene(List<Statement> statements) {
    this.statements = List.copyOf(statements);
    Map<String, Boolean> unclear = new HashMap<>();
    for (Statement statement : this.statements) {
      speakers.addAll(statement.speakers());
      for (String name : SHARED) {
        String thing = statement.things().get(name);
        String before = thing == null ? null : shared.putIfAbsent(name, thing);
        if (before != null && !before.equals(thing)) {
          unclear.put(name, true);
        }
      }
    }
    unclear.keySet().forEach(shared::remove);
  }

  List<Statement> statements() {
    return statements;
  }

  /** Who may have printed the message or handed it on. */
  Set<Speaker> speakers(Statement statement) {
    Set<Speaker> all = EnumSet.copyOf(speakers);
    all.addAll(statement.speakers());
    return all;
  }

  /** Whether a message that is none of these tells of a failure. */
  boolean hasFailureBeside(List<Finding> known) {
    Set<Integer> read =
        known.stream().map(f -> f.statement().line().number()).collect(Collectors.toSet());
    return statements.stream()
        .anyMatch(s -> !read.contains(s.line().number()) && FAILURE.matcher(s.lower()).find());
  }

  /** Whether any message of the text is like this. */
  boolean says(Needle needle) {
    return statements.stream().anyMatch(s -> needle.find(s.text(), s.lower()).isPresent());
  }

  /** What a message is about, by its own words first, then by those of the others. */
  Map<String, String> things(Statement statement, Optional<Matcher> matched) {
    Map<String, String> things = new LinkedHashMap<>(statement.things());
    matched.ifPresent(m -> putNamed(m, things));
    if (!things.containsKey(NamedThings.ADDRESS)) {
      shared.forEach(things::putIfAbsent);
    }
    statement.errno().ifPresent(e -> things.put("errno", e.name()));
    String size = things.get("size");
    if (size != null) {
      things.put("size", readable(size));
    }
    if (!things.containsKey("file") && things.containsKey(NamedThings.GROUP)) {
      things.put("file", "/dev/vfio/" + things.get(NamedThings.GROUP));
    }
    return things;
  }

  private static void putNamed(Matcher matcher, Map<String, String> things) {
    for (String name : matcher.namedGroups().keySet()) {
      String text = matcher.group(name);
      if (text == null) {
        continue;
      }
      Optional<String> address = NamedThings.address(text);
      if (name.equals(NamedThings.ADDRESS) && address.isPresent()) {
        NamedThings.putAddress(things, address.get());
      } else if (!name.equals(NamedThings.ADDRESS) || text.indexOf(':') >= 0) {
        things.put(name, address.orElse(text));
      }
    }
  }

  /** A size in hexadecimal digits, with the same in the largest unit that divides it. */
  private static String readable(String hexadecimal) {
    long bytes = Long.parseUnsignedLong(hexadecimal.substring(2).toLowerCase(Locale.ROOT), 16);
    String[] units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    long count = bytes;
    while (count != 0 && count % 1024 == 0 && unit < units.length - 1) {
      count /= 1024;
      unit++;
    }
    return "%s (%s %s)".formatted(hexadecimal, Long.toUnsignedString(count), units[unit]);
  }
}
