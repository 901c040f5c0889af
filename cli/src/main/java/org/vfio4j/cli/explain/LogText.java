// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Pasted text as messages: colours, control characters and typographic quotes go, a line whose
 * wrappers hold several messages (escaped line breaks, JSON) becomes several.
 */
final class LogText {

  /** Longer messages are cut in the middle: beginning and end say what happened. */
  private static final int MAX_LENGTH = 8_000;

  /** A message that was broken into more lines than this is not put together. */
  private static final int MAX_JOINED = 6;

  /** In a text of more lines than this, lines of one shape are read once. */
  private static final int MAX_EACH = 2000;

  /** Longer runs of hexadecimal digits do not tell two lines apart. */
  private static final int MAX_KEPT = 3;

  private static final Pattern ANSI =
      Pattern.compile(
          "\u001b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\u0007\u001b]*(?:\u0007|\u001b\\\\)|[@-_])");
  private static final Pattern CARET_ANSI =
      Pattern.compile("(?:\\^\\[|#033|\\\\x1b|\\\\u001b|\\\\e)\\[[0-9;]*m");
  private static final Pattern INVISIBLE =
      Pattern.compile("[\\p{Cntrl}\\p{Cf}\\u2028\\u2029&&[^\\t]]");
  private static final Pattern ESCAPED_BREAK = Pattern.compile("(?:\\\\+r)?\\\\+n");
  private static final Pattern SPACES = Pattern.compile(" {2,}");
  private static final Pattern ESCAPED_QUOTE = Pattern.compile("\\\\+([\"'])");

  private LogText() {}

  /** The messages of a text, in its order; empty lines are none. */
  static List<LogLine> lines(String text) {
    String[] all = text.split("\r\n|\r|\n", -1);
    boolean flood = all.length > MAX_EACH;
    Set<String> seen = new HashSet<>();
    List<LogLine> reversed = new ArrayList<>();
    for (int i = all.length - 1; i >= 0; i--) {
      if (flood && !seen.add(shape(all[i]))) {
        continue;
      }
      for (LogLine message : messages(i + 1, clean(all[i])).reversed()) {
        reversed.add(message);
      }
    }
    return reversed.reversed();
  }

  private static List<LogLine> messages(int number, String raw) {
    List<LogLine> messages = new ArrayList<>();
    for (String message : Envelope.messages(raw)) {
      for (String part : ESCAPED_BREAK.split(message)) {
        String unquoted = ESCAPED_QUOTE.matcher(part).replaceAll("$1");
        String stripped = Prefixes.strip(unquoted).strip();
        String bare = cut(SPACES.matcher(stripped).replaceAll(" "));
        if (!bare.isEmpty()) {
          messages.add(new LogLine(number, raw, bare));
        }
      }
    }
    return messages;
  }

  /**
   * A line with its long numbers taken out. Of the lines of a flood that differ in stamps and
   * memory addresses only, the last one says what they all say; short numbers, such as those of
   * groups, of errnos and in PCI addresses, tell lines apart.
   */
  private static String shape(String line) {
    StringBuilder shape = new StringBuilder(line.length());
    int begin = -1;
    // The stamp of the kernel differs in each line.
    int from = line.startsWith("[") ? line.indexOf(']') + 1 : 0;
    for (int i = from; i <= line.length(); i++) {
      char c = i < line.length() ? line.charAt(i) : ' ';
      boolean hexadecimal = c >= '0' && c <= '9' || c >= 'a' && c <= 'f';
      if (hexadecimal && begin < 0) {
        begin = i;
      } else if (!hexadecimal) {
        if (begin >= 0) {
          shape.append(i - begin > MAX_KEPT ? "#" : line.substring(begin, i));
          begin = -1;
        }
        shape.append(c);
      }
    }
    return shape.toString();
  }

  /** Lines that may be one message, from the first to the last index, put together. */
  record Joined(LogLine line, int first, int last) {}

  /**
   * Messages that a terminal, a mailer or a page broke into lines, put together again: each line
   * with those after it that do not begin as a message does. A command that writes to sysfs and the
   * shell's complaint below it, which does not name the file, are one, too.
   *
   * @param from the index from which to begin
   */
  static List<Joined> joined(List<LogLine> lines, int from) {
    List<Joined> joined = new ArrayList<>();
    for (int i = from; i < lines.size(); i++) {
      LogLine first = lines.get(i);
      StringBuilder spaced = new StringBuilder(first.text());
      StringBuilder close = new StringBuilder(first.text());
      for (int j = i + 1; j < Math.min(lines.size(), i + MAX_JOINED); j++) {
        LogLine next = lines.get(j);
        boolean apart =
            Prefixes.begins(next.raw()) && !Prefixes.answers(lines.get(j - 1).raw(), next.raw());
        if (apart || next.number() > lines.get(j - 1).number() + 1) {
          break;
        }
        spaced.append(' ').append(next.text());
        close.append(next.text());
        joined.add(new Joined(whole(first, spaced), i, j));
        joined.add(new Joined(whole(first, close), i, j));
      }
    }
    return joined;
  }

  private static LogLine whole(LogLine first, StringBuilder text) {
    return new LogLine(first.number(), first.raw(), cut(text.toString()));
  }

  private static String clean(String line) {
    String plain = line;
    if (line.indexOf('\u001b') >= 0) {
      plain = ANSI.matcher(plain).replaceAll("");
    }
    if (plain.indexOf('[') >= 0) {
      plain = CARET_ANSI.matcher(plain).replaceAll("");
    }
    Matcher invisible = INVISIBLE.matcher(plain);
    if (invisible.find()) {
      plain = invisible.replaceAll("");
    }
    StringBuilder out = new StringBuilder(plain.length());
    for (int i = 0; i < plain.length(); i++) {
      out.append(plainly(plain.charAt(i)));
    }
    return out.toString();
  }

  /** What keyboards write for what editors and pages make of it. */
  private static char plainly(char c) {
    return switch (c) {
      case '\t', '\u00a0', '\u2007', '\u202f', '\u3000' -> ' ';
      case '\u2018', '\u2019', '\u201a', '\u201b', '\u00b4', '`' -> '\'';
      case '\u201c', '\u201d', '\u201e', '\u00ab', '\u00bb' -> '"';
      case '\u2010', '\u2011', '\u2012', '\u2013', '\u2212' -> '-';
      default -> c;
    };
  }

  private static String cut(String text) {
    if (text.length() <= MAX_LENGTH) {
      return text;
    }
    int half = MAX_LENGTH / 2;
    return text.substring(0, half) + " ... " + text.substring(text.length() - half);
  }
}
