// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A line of a pasted text, freed of what terminals, mail programs and web pages put around it.
 *
 * @param number 1-based, in the source
 * @param text the line with its indentation
 * @param bare the line without indentation
 */
record TextLine(int number, String text, String bare) {

  /**
   * Longer lines are left as they are and no form of text is looked for in them, but JSON: some of
   * the patterns take time with the square of a line's length.
   */
  static final int MAX_LENGTH = 8192;

  private static final Pattern ESCAPES =
      Pattern.compile(
          "\u001b\\[[0-9;:?]*[ -/]*[@-~]|\u001b\\][^\u0007\u001b]*(?:\u0007|\u001b\\\\)|\u001b."
              + "|\\^\\[\\[[0-9;]*[A-Za-z]|\\[[0-9]{1,2}(?:;[0-9]{1,3})*m|\\[0?K(?![\\w ])");
  private static final Pattern MARKS = Pattern.compile("\\*\\*|__(?=\\S)|~~|`");
  private static final Pattern BACKSLASHED = Pattern.compile("\\\\([\\[\\]_*#<>()])");
  private static final Pattern TAGS =
      Pattern.compile(
          "(?i)</?(?:pre|code|b|i|em|strong|br|p|span|div|blockquote|tt)(?: [^<>]{0,400})?/?>");
  private static final Pattern QUOTE = Pattern.compile(" {0,8}[>»] ?");

  /** The lines of a text. */
  static List<TextLine> of(String text) {
    List<TextLine> lines = new ArrayList<>();
    text.lines().forEach(raw -> lines.add(of(lines.size() + 1, raw)));
    return lines;
  }

  private static TextLine of(int number, String raw) {
    if (raw.length() > MAX_LENGTH) {
      return new TextLine(number, raw, raw.strip());
    }
    String line = plain(raw);
    Matcher quote = QUOTE.matcher(line);
    int begin = 0;
    while (quote.region(begin, line.length()).lookingAt()) {
      // The arrow of a table or a shell's second prompt is one too, and does no harm.
      begin = quote.end();
    }
    String own = line.substring(begin);
    return new TextLine(number, own, own.strip());
  }

  private static String plain(String raw) {
    if (isPlain(raw)) {
      return raw.stripTrailing();
    }
    String line = raw;
    line = line.replaceAll("[\u200b-\u200f\u2060\ufeff]", "");
    // Mail programs turn the blanks of an indentation into no-break spaces.
    line = line.replaceAll("[\u00a0\u2007\u202f\u3000]", " ");
    line = ESCAPES.matcher(line).replaceAll("");
    if (line.indexOf('&') >= 0) {
      line = line.replace("&gt;", ">").replace("&lt;", "<").replace("&nbsp;", " ");
      line = line.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    }
    if (line.indexOf('<') >= 0) {
      line = TAGS.matcher(line).replaceAll("");
    }
    line = BACKSLASHED.matcher(line).replaceAll("$1");
    line = MARKS.matcher(line).replaceAll("");
    return line.replaceAll("[\\p{Cntrl}&&[^\t]]", "").stripTrailing();
  }

  /** Whether the line has nothing that would have to be taken off: so nearly all of long logs. */
  private static boolean isPlain(String line) {
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c > '~' || c < ' ' && c != '\t' || "`*\\&<^~".indexOf(c) >= 0) {
        return false;
      }
      boolean mark = c == '_' && line.startsWith("__", i);
      boolean escape = c == '[' && i + 1 < line.length() && isEscape(line, i + 1);
      if (mark || escape) {
        return false;
      }
    }
    return true;
  }

  private static boolean isEscape(String line, int at) {
    int end = at;
    while (end < line.length() && "0123456789;".indexOf(line.charAt(end)) >= 0) {
      end++;
    }
    return end < line.length() && "mK".indexOf(line.charAt(end)) >= 0;
  }

  boolean isEmpty() {
    return bare.isEmpty();
  }

  boolean isTooLong() {
    return text.length() > MAX_LENGTH;
  }

  /** Columns of white space before the text; a tabulator counts to the next multiple of eight. */
  int indent() {
    int columns = 0;
    for (int i = 0; i < text.length() && Character.isWhitespace(text.charAt(i)); i++) {
      columns = text.charAt(i) == '\t' ? (columns / 8 + 1) * 8 : columns + 1;
    }
    return columns;
  }
}
