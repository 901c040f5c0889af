// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;

/** Text for a screen of a given width. */
final class Text {

  private Text() {}

  /**
   * The text without control characters: what comes from a file must not steer the terminal. Line
   * breaks and tabs become spaces.
   */
  static String printable(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints()
        .map(c -> Character.isISOControl(c) || isFormat(c) ? ' ' : c)
        .forEach(out::appendCodePoint);
    return out.toString();
  }

  private static boolean isFormat(int c) {
    return switch (Character.getType(c)) {
      case Character.FORMAT, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR -> true;
      default -> false;
    };
  }

  /** The text, filled with spaces to the width; longer text stays as it is. */
  static String pad(String text, int width) {
    return text.length() >= width ? text : text + " ".repeat(width - text.length());
  }

  /** The text, with spaces before it to the width; longer text stays as it is. */
  static String padLeft(String text, int width) {
    return text.length() >= width ? text : " ".repeat(width - text.length()) + text;
  }

  /** At most so many characters of the text, the last of them dots where it had more. */
  static String cut(String text, int width) {
    if (text.length() <= width) {
      return text;
    }
    return width <= 2 ? text.substring(0, Math.max(0, width)) : text.substring(0, width - 2) + "..";
  }

  /**
   * Breaks text at spaces into lines of at most {@code width} characters; a word that is longer
   * gets a line of its own.
   */
  static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.strip().split("\\s+")) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > width) {
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
    int room = Math.max(16, width - Math.max(first.length(), rest.length()));
    return first + String.join("\n" + rest, wrap(text, room));
  }

  /** A number with its noun: {@code 1 device}, {@code 2 devices}. */
  static String count(long number, String noun) {
    return number + " " + noun + (number == 1 ? "" : "s");
  }
}
