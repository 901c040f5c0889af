// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host.input;

/**
 * Input that cannot be used: not of its format, cut off, or describing a machine that cannot exist.
 * The message is a single line that names the place: {@code file:line: field: message}.
 */
public final class BadInputException extends RuntimeException {

  private static final long serialVersionUID = 1L;
  private static final int MAX_MESSAGE = 400;

  private final String source;
  private final int line;
  private final String field;

  /**
   * @param source the file or other source, as the user named it
   * @param line line in the source, 1-based; 0 where the source as a whole is meant
   * @param field field within the line or tree, such as {@code functions[3].address}; empty where
   *     there is none
   * @param message what is wrong; line breaks are replaced, and long text is shortened
   */
  public BadInputException(String source, int line, String field, String message) {
    super(oneLine(place(source, line, field) + message));
    this.source = source;
    this.line = line;
    this.field = field;
  }

  /** The source, as the user named it. */
  public String source() {
    return source;
  }

  /** Line in the source, 1-based, or 0 where the source as a whole is meant. */
  public int line() {
    return line;
  }

  /** The field, such as {@code functions[3].address}, or an empty text. */
  public String field() {
    return field;
  }

  private static String place(String source, int line, String field) {
    String at = line > 0 ? source + ":" + line + ": " : source + ": ";
    return field.isEmpty() ? at : at + field + ": ";
  }

  private static String oneLine(String text) {
    StringBuilder out = new StringBuilder(Math.min(text.length(), MAX_MESSAGE));
    for (int i = 0; i < text.length() && out.length() < MAX_MESSAGE; i++) {
      char c = text.charAt(i);
      out.append(Character.isISOControl(c) || c == '\u2028' || c == '\u2029' ? ' ' : c);
    }
    return text.length() > MAX_MESSAGE ? out + "..." : out.toString();
  }
}
