// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import org.jspecify.annotations.Nullable;

/**
 * Where a command prints text. Nothing that is printed here steers a terminal: control characters
 * but the line break, escape sequences and marks that turn the direction of text become spaces,
 * wherever the text came from. The command's own colours come through, as {@link #colours} has put
 * a mark before them that no other text can have.
 */
final class Screen extends PrintStream {
  private static final char ESCAPE = '\u001b';

  /** Drawn anew for each process, from the area for private use: who writes a file cannot know. */
  private static final String MARK = mark();

  private static final int MARK_LENGTH = 6;
  private static final char PRIVATE_USE = '\ue000';
  private static final int PRIVATE_USE_SIZE = 0xf8ff - PRIVATE_USE;

  private final PrintStream raw;

  /** Prints to that stream, which this one does not close. */
  Screen(PrintStream raw) {
    super(raw, false, StandardCharsets.UTF_8);
    this.raw = raw;
  }

  private static String mark() {
    StringBuilder mark = new StringBuilder();
    new SecureRandom()
        .ints(MARK_LENGTH, PRIVATE_USE, PRIVATE_USE + PRIVATE_USE_SIZE)
        .forEach(c -> mark.append((char) c));
    return mark.toString();
  }

  /** The stream below, where all that is printed is the command's own. */
  PrintStream raw() {
    return raw;
  }

  /**
   * The text with its escape sequences marked as the command's own.
   *
   * @param text what {@link #clean} has been at, with colours added
   */
  static String colours(String text) {
    return text.indexOf(ESCAPE) < 0 ? text : text.replace(String.valueOf(ESCAPE), MARK);
  }

  /** The text with spaces for what would steer a terminal; line breaks are kept. */
  static String clean(String text) {
    int at = 0;
    while (at < text.length() && !Text.steers(text.charAt(at))) {
      at++;
    }
    if (at == text.length()) {
      return text;
    }
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints().map(c -> c != '\n' && Text.steers(c) ? ' ' : c).forEach(out::appendCodePoint);
    return out.toString();
  }

  @Override
  public void print(@Nullable String text) {
    super.print(clean(String.valueOf(text)).replace(MARK, String.valueOf(ESCAPE)));
  }

  @Override
  public void print(@Nullable Object value) {
    print(String.valueOf(value));
  }

  @Override
  public void print(char[] text) {
    print(new String(text));
  }
}
