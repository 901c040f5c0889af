// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Locale;
import java.util.Optional;

/** Writes a picture as one file of SVG: no script, no font, nothing from elsewhere. */
final class Svg {

  private static final String SANS =
      "\"Inter\",\"Segoe UI\",\"Helvetica Neue\",Arial,\"Liberation Sans\",\"DejaVu"
          + " Sans\",sans-serif";
  private static final String MONO =
      "\"SFMono-Regular\",Menlo,Consolas,\"Liberation Mono\",\"DejaVu Sans Mono\",monospace";

  private final StringBuilder out = new StringBuilder();

  private Svg() {}

  /** The picture as a file. */
  static String of(Picture picture) {
    Svg svg = new Svg();
    svg.write(picture);
    return svg.out.toString();
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

  private void write(Picture picture) {
    out.append(
        ("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\""
                + " viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title desc\">\n")
            .formatted(picture.width(), picture.height(), picture.width(), picture.height()));
    out.append("<title id=\"title\">").append(escape(picture.title())).append("</title>\n");
    out.append("<desc id=\"desc\">").append(escape(picture.description())).append("</desc>\n");
    out.append("<style>\n").append(style()).append("</style>\n");
    out.append("<rect width=\"100%\" height=\"100%\" class=\"fground\"/>\n");
    picture.shapes().forEach(this::write);
    out.append("</svg>\n");
  }

  /** Colours as classes rather than variables, which few programs beside browsers know. */
  private static String style() {
    StringBuilder css =
        new StringBuilder("svg{max-width:100%;height:auto;color-scheme:light dark}\n");
    css.append("text{font-family:").append(SANS).append("}\n");
    for (Face face : Face.values()) {
      css.append(
          ".%s{font-size:%spx;font-weight:%d%s}\n"
              .formatted(
                  face.css(),
                  Sketch.number(face.size()),
                  face.weight(),
                  face.mono() ? ";font-family:" + MONO : ""));
    }
    css.append(
        ".n{fill:none}.end{text-anchor:end}.sign{fill:none;stroke-width:2;stroke-linecap:round;");
    css.append("stroke-linejoin:round}\n");
    for (Colour colour : Colour.values()) {
      css.append(rules(colour, colour.light()));
    }
    css.append("@media (prefers-color-scheme:dark){\n");
    for (Colour colour : Colour.values()) {
      css.append(rules(colour, colour.dark()));
    }
    return css.append("}\n").toString();
  }

  private static String rules(Colour colour, String value) {
    return ".f%s{fill:%s}.s%s{stroke:%s}\n".formatted(colour.css(), value, colour.css(), value);
  }

  private void write(Shape shape) {
    switch (shape) {
      case Shape.Box(Area a, double radius, Paint paint) ->
          out.append(
              "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"%s\"%s/>\n"
                  .formatted(
                      n(a.x()), n(a.y()), n(a.width()), n(a.height()), n(radius), of(paint)));
      case Shape.Label label ->
          out.append(
              "<text class=\"%s f%s%s\" x=\"%s\" y=\"%s\">%s</text>\n"
                  .formatted(
                      label.face().css(),
                      label.colour().css(),
                      label.atRight() ? " end" : "",
                      n(label.atRight() ? label.area().right() : label.area().x()),
                      n(label.baseline()),
                      escape(label.text())));
      case Shape.Line(String path, Paint paint) ->
          out.append("<path d=\"%s\"%s/>\n".formatted(path, of(paint)));
      case Shape.Sign(Icon icon, Area a, Colour colour) ->
          out.append(
              "<path class=\"sign s%s\" transform=\"translate(%s %s) scale(%s)\" d=\"%s\"/>\n"
                  .formatted(colour.css(), n(a.x()), n(a.y()), scale(a), icon.path()));
      case Shape.Open(String words) ->
          out.append("<g>")
              .append(words.isBlank() ? "" : "<title>" + escape(words) + "</title>")
              .append('\n');
      case Shape.Close() -> out.append("</g>\n");
    }
  }

  private static String of(Paint paint) {
    String inside = paint.fill().map(c -> "f" + c.css()).orElse("n");
    String edge = paint.edge().map(c -> " s" + c.css()).orElse("");
    StringBuilder text = new StringBuilder(" class=\"" + inside + edge + "\"");
    if (paint.opacity() < 1) {
      text.append(" fill-opacity=\"").append(paint.opacity()).append('"');
    }
    Optional<Colour> drawn = paint.edge();
    if (drawn.isPresent()) {
      text.append(" stroke-width=\"").append(n(paint.width())).append('"');
      text.append(paint.dashed() ? " stroke-dasharray=\"5 4\"" : "");
    }
    return text.toString();
  }

  private static String scale(Area area) {
    return String.format(Locale.ROOT, "%.3f", area.width() / 24);
  }

  private static String n(double value) {
    return Sketch.number(value);
  }
}
