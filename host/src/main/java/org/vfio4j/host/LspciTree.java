// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The tree that {@code lspci -t} draws, with names where {@code -v} was given. The functions of one
 * bus stand in one column.
 */
final class LspciTree implements TextForm {

  private static final Pattern ROOT =
      Pattern.compile("[-+|\\\\\\s]*-\\[([0-9a-f]{4}):([0-9a-f]{2})(?:-[0-9a-f]{2})?\\].*");
  private static final Pattern BRANCH = Pattern.compile("[\\s|]*[+\\\\]-.*[01][0-9a-f]\\.[0-7].*");
  private static final Pattern TOKEN =
      Pattern.compile(
          "\\[(?:([0-9a-f]{4}):)?([0-9a-f]{2})(?:-([0-9a-f]{2}))?\\]|([01][0-9a-f])\\.([0-7])");

  /** A name and the numbers behind it, as {@code -nn} adds them. */
  private static final Pattern NUMBERED =
      Pattern.compile("(?:Device|(.*?))\\s*+\\[([0-9a-f]{4}:[0-9a-f]{4})\\]");

  private record Column(int bus, Optional<PciAddress> bridge) {}

  private final Map<Integer, Column> columns = new HashMap<>();
  private int domain;
  private boolean inside;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    Matcher root = ROOT.matcher(line.text());
    if (root.matches()) {
      columns.clear();
      inside = true;
    } else if (!inside || !BRANCH.matcher(line.text()).matches()) {
      return false;
    }
    if (!branch(line.text(), reading)) {
      reading.lost(line, Loss.Reason.CUT);
    }
    return true;
  }

  /** Reads the drawing: up to the name of a device, which two blanks part from it. */
  private boolean branch(String text, TextReading reading) {
    int blanks = text.indexOf("  ", firstDigit(text));
    String drawing = blanks < 0 ? text : text.substring(0, blanks);
    Optional<Column> next = Optional.empty();
    Optional<PciFunction.Builder> last = Optional.empty();
    Matcher m = TOKEN.matcher(drawing);
    while (m.find()) {
      if (m.group(4) == null) {
        domain = m.group(1) == null ? domain : Integer.parseInt(m.group(1), 16);
        int bus = Integer.parseInt(m.group(2), 16);
        int end = m.group(3) == null ? bus : Integer.parseInt(m.group(3), 16);
        boolean behind = last.isPresent() && bus > 0 && bus <= end;
        last.filter(_ -> behind).ifPresent(f -> f.buses(Optional.of(new BusRange(bus, end))));
        next = Optional.of(new Column(bus, last.map(PciFunction.Builder::address)));
        continue;
      }
      Optional<Column> here = next.or(() -> Optional.ofNullable(columns.get(m.start())));
      if (here.isEmpty()) {
        return false;
      }
      columns.put(m.start(), here.get());
      next = Optional.empty();
      PciAddress address =
          new PciAddress(
              domain,
              here.get().bus(),
              Integer.parseInt(m.group(4), 16),
              Integer.parseInt(m.group(5), 16));
      PciFunction.Builder function = reading.function(address);
      function.parent(here.get().bridge().map(Fact::known).orElse(Fact.none()));
      last = Optional.of(function);
    }
    String name = blanks < 0 ? "" : text.substring(blanks).strip();
    last.filter(_ -> !name.isEmpty()).ifPresent(f -> name(f, name));
    return true;
  }

  private static void name(PciFunction.Builder function, String name) {
    Matcher numbered = NUMBERED.matcher(name);
    if (!numbered.matches()) {
      function.description(Optional.of(name));
      return;
    }
    function.description(Optional.ofNullable(numbered.group(1)).filter(n -> !n.isEmpty()));
    if (function.build().id().isEmpty()) {
      function.id(Optional.of(PciId.parse(numbered.group(2))));
    }
  }

  private static int firstDigit(String text) {
    Matcher m = TOKEN.matcher(text);
    return m.find() ? m.start() : 0;
  }
}
