// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A picture in the making. */
final class Sketch {

  private final List<Shape> shapes = new ArrayList<>();

  /** Where a shape can be put below all that is drawn from here on. */
  int mark() {
    return shapes.size();
  }

  /** Puts a box below what was drawn since the mark. */
  void below(int mark, Area area, double radius, Paint paint) {
    shapes.add(mark, new Shape.Box(area, radius, paint));
  }

  void box(Area area, double radius, Paint paint) {
    shapes.add(new Shape.Box(area, radius, paint));
  }

  /** Text that begins at this point, cut to the room; answers where it ends. */
  double text(double x, double baseline, double room, Face face, Colour colour, String text) {
    String fitting = face.fit(Text.printable(text), room);
    if (fitting.isBlank()) {
      return x;
    }
    Area area = face.area(x, baseline, fitting);
    shapes.add(new Shape.Label(area, baseline, false, face, colour, fitting));
    return area.right();
  }

  /** Text that ends at this point, cut to the room; answers where it begins at the leftmost. */
  double textEnding(
      double right, double baseline, double room, Face face, Colour colour, String text) {
    String fitting = face.fit(Text.printable(text), room);
    if (fitting.isBlank()) {
      return right;
    }
    Area area = face.area(right - face.width(fitting), baseline, fitting);
    shapes.add(new Shape.Label(area, baseline, true, face, colour, fitting));
    return area.x();
  }

  /** Lines of text, cut after so many; answers the base line of the next one. */
  double lines(
      double x, double baseline, double room, int most, Face face, Colour colour, String text) {
    double y = baseline;
    for (String line : face.wrap(Text.printable(text), room, most)) {
      text(x, y, room, face, colour, line);
      y += Math.ceil(face.size() * 1.35);
    }
    return y;
  }

  void line(Paint paint, String path, double... points) {
    Object[] numbers = new Object[points.length];
    for (int i = 0; i < points.length; i++) {
      numbers[i] = number(points[i]);
    }
    shapes.add(new Shape.Line(path.formatted(numbers), paint));
  }

  void icon(Icon icon, double x, double y, double size, Colour colour) {
    shapes.add(new Shape.Sign(icon, new Area(x, y, size, size), colour));
  }

  void open(String words) {
    shapes.add(new Shape.Open(Text.printable(words)));
  }

  void close() {
    shapes.add(new Shape.Close());
  }

  Picture finish(double width, double height, String title, String description) {
    return new Picture(
        (int) Math.ceil(width),
        (int) Math.ceil(height),
        Text.printable(title),
        Text.printable(description),
        shapes);
  }

  /** A number as SVG has it, to a tenth of a pixel. */
  static String number(double value) {
    double tenths = Math.rint(value * 10) / 10;
    return tenths == Math.rint(tenths)
        ? Long.toString((long) tenths)
        : String.format(Locale.ROOT, "%.1f", tenths);
  }
}
