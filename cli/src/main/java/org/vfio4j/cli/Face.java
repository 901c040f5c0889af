// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How text of a picture is set. A file cannot bring its fonts, so widths are taken from a wide one:
 * in the reader's own the text is as wide or narrower.
 */
enum Face {
  TITLE(24, 700, false),
  HEAD(16, 700, false),
  NAME(15, 600, false),
  BODY(13, 400, false),
  SMALL(12, 400, false),
  STRONG(12, 700, false),
  MONO(12.5, 400, true),
  BUS(17, 700, true);

  private static final String ELLIPSIS = "\u2026";
  private static final double BOLD = 1.06;
  private static final double MONO_WIDTH = 0.605;
  private static final double DESCENT = 0.28;
  private static final double ASCENT = 0.82;

  private final double size;
  private final int weight;
  private final boolean mono;

  Face(double size, int weight, boolean mono) {
    this.size = size;
    this.weight = weight;
    this.mono = mono;
  }

  double size() {
    return size;
  }

  int weight() {
    return weight;
  }

  boolean mono() {
    return mono;
  }

  String css() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The pixels that the text takes at most. */
  double width(String text) {
    double ems = text.codePoints().mapToDouble(c -> mono && c < 0x2000 ? MONO_WIDTH : ems(c)).sum();
    return ems * size * (weight > 400 ? BOLD : 1);
  }

  private static double ems(int c) {
    if (c >= 0x1100) {
      return c == 0x2026 || c == 0x2192 || c < 0x2000 ? 0.9 : 1.05;
    }
    return switch (c) {
      case ' ', '.', ',', ':', ';', '\'', '|', 'i', 'j', 'l', 'I', '!', '\u00b7' -> 0.33;
      case '(', ')', '[', ']', '/', '-', 't', 'f', 'r' -> 0.41;
      case 'm', 'w', 'M', 'W', '@', '%' -> 0.96;
      default -> Character.isUpperCase(c) ? 0.70 : c > 0xff ? 0.75 : 0.59;
    };
  }

  /** The text, cut to so many pixels; empty where not even a sign of it fits. */
  String fit(String text, double room) {
    if (width(text) <= room) {
      return text;
    }
    int[] all = text.codePoints().toArray();
    int count = all.length;
    while (count > 0 && width(new String(all, 0, count).strip() + ELLIPSIS) > room) {
      count--;
    }
    return count == 0 ? "" : new String(all, 0, count).strip() + ELLIPSIS;
  }

  /** The text in lines of so many pixels, cut after so many lines. */
  List<String> wrap(String text, double room, int most) {
    List<String> lines = new ArrayList<>();
    String line = "";
    String[] words = text.strip().split("\\s+");
    for (int i = 0; i < words.length; i++) {
      String longer = line.isEmpty() ? words[i] : line + " " + words[i];
      if (!line.isEmpty() && width(longer) > room) {
        if (lines.size() == most - 1) {
          String rest = String.join(" ", List.of(words).subList(i, words.length));
          lines.add(fit(line + " " + rest, room));
          return lines;
        }
        lines.add(fit(line, room));
        longer = words[i];
      }
      line = longer;
    }
    lines.add(fit(line, room));
    return lines;
  }

  /** What text that stands at this base line covers at most. */
  Area area(double x, double baseline, String text) {
    return new Area(x, baseline - ASCENT * size, width(text), (ASCENT + DESCENT) * size);
  }
}
