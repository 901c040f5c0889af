// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Locale;

/** Writes SVG, shape by shape. Lengths are in pixels. */
final class Svg {

  private final StringBuilder out = new StringBuilder();

  /** Begins a drawing of this size, with a style sheet and a title for readers without eyes. */
  Svg(int width, int height, String title, String css) {
    out.append(
        ("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
                + " viewBox=\"0 0 %d %d\" role=\"img\">\n")
            .formatted(width, height, width, height));
    out.append("<title>").append(escape(title)).append("</title>\n");
    out.append("<style>").append(css).append("</style>\n");
  }

  /** Text without what XML reserves or forbids. */
  static String escape(String text) {
    StringBuilder safe = new StringBuilder(text.length());
    for (int c : text.codePoints().toArray()) {
      switch (c) {
        case '<' -> safe.append("&lt;");
        case '>' -> safe.append("&gt;");
        case '&' -> safe.append("&amp;");
        case '"' -> safe.append("&quot;");
        default -> safe.appendCodePoint(allowed(c) ? c : ' ');
      }
    }
    return safe.toString();
  }

  private static boolean allowed(int c) {
    return !Text.steers(c) && c != 0xfffe && c != 0xffff;
  }

  /** A rectangle with round corners. */
  void box(double x, double y, double width, double height, double radius, String attributes) {
    out.append(
        "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"%s\" %s/>\n"
            .formatted(n(x), n(y), n(width), n(height), n(radius), attributes));
  }

  /** A line with a class of the style sheet. */
  void line(double x1, double y1, double x2, double y2, String css) {
    out.append(
        "<path class=\"%s\" d=\"M%s %sL%s %s\"/>\n".formatted(css, n(x1), n(y1), n(x2), n(y2)));
  }

  /** Text that begins at this point, or ends there where the class says so. */
  void text(double x, double y, String css, String fill, String text) {
    if (!text.isEmpty()) {
      String colour = fill.isEmpty() ? "" : " style=\"fill:" + fill + "\"";
      out.append(
          "<text class=\"%s\" x=\"%s\" y=\"%s\"%s>%s</text>\n"
              .formatted(css, n(x), n(y), colour, escape(text)));
    }
  }

  /** Begins a group of shapes that shows the text where the pointer rests on it. */
  void begin(String tooltip) {
    out.append("<g>");
    if (!tooltip.isEmpty()) {
      out.append("<title>").append(escape(tooltip)).append("</title>");
    }
    out.append('\n');
  }

  /** Ends the group. */
  void end() {
    out.append("</g>\n");
  }

  /** Ends the drawing. */
  String finish() {
    return out.append("</svg>\n").toString();
  }

  private static String n(double value) {
    return value == Math.rint(value)
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.1f", value);
  }
}
