// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Help;

/** Text for a screen of a given width. */
final class Text {

  private static final Help.ColorScheme PLAIN = Help.defaultColorScheme(Help.Ansi.OFF);

  private Text() {}

  /**
   * The text without control characters: what comes from a file must not steer the terminal. Line
   * breaks and tabs become spaces.
   */
  static String printable(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints().map(c -> steers(c) ? ' ' : c).forEach(out::appendCodePoint);
    return out.toString();
  }

  /**
   * Whether a terminal or a browser does something at this character beside showing it: controls of
   * ASCII and of ISO 8859, marks that turn the direction of text or cannot be seen, line breaks.
   */
  static boolean steers(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          true;
      default -> false;
    };
  }

  /** How many columns of a screen the text takes: a character of Chinese or Japanese takes two. */
  static int width(String text) {
    return isPlain(text) ? text.length() : measured(text);
  }

  /** Nearly all text is ASCII, of which nothing has to be looked up. */
  private static boolean isPlain(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      // Picocli reads marks of style that begin with an @.
      if (c < ' ' || c > '~' || c == '@') {
        return false;
      }
    }
    return true;
  }

  private static int measured(String text) {
    return PLAIN.apply(text, List.of()).getCJKAdjustedLength();
  }

  /** The text, filled with spaces to so many columns; longer text stays as it is. */
  static String pad(String text, int width) {
    return text + " ".repeat(Math.max(0, width - width(text)));
  }

  /** The text, with spaces before it to so many columns; longer text stays as it is. */
  static String padLeft(String text, int width) {
    return " ".repeat(Math.max(0, width - width(text))) + text;
  }

  /** At most so many columns of the text, the last of them dots where it had more. */
  static String cut(String text, int width) {
    if (width(text) <= width) {
      return text;
    }
    return width <= 2 ? first(text, width) : first(text, width - 2) + "..";
  }

  /** As many whole characters as fit into so many columns. */
  private static String first(String text, int width) {
    int end = 0;
    while (end < text.length()) {
      int next = text.offsetByCodePoints(end, 1);
      if (width(text.substring(0, next)) > width) {
        break;
      }
      end = next;
    }
    return text.substring(0, end);
  }

  /**
   * Breaks text at spaces into lines of at most {@code width} columns; a word that is longer gets a
   * line of its own. Picocli's own wrapping breaks within words too, {@code vfio-pci.ids=} after
   * the dot, and what is to be typed must stay in one piece.
   */
  static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.strip().split("\\s+")) {
      if (!line.isEmpty() && width(line.toString()) + 1 + width(word) > width) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }

  /** Wrapped text, the first line after {@code first} and the others after {@code rest}. */
  static String wrap(String text, int width, String first, String rest) {
    int room = Math.max(16, width - Math.max(width(first), width(rest)));
    return first + String.join("\n" + rest, wrap(text, room));
  }

  /** A number with its noun: {@code 1 device}, {@code 2 devices}. */
  static String count(long number, String noun) {
    return number + " " + noun + (number == 1 ? "" : "s");
  }
}
