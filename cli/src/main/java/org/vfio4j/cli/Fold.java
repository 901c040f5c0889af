// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;

/** Draws functions that are only counted: a line of what they are, and a dot for each. */
final class Fold {

  private static final double DOT = 6;
  private static final double PITCH = 8;
  private static final double LINE = 17;

  private final Sketch sketch;
  private final HostTopology host;
  private final boolean coloured;

  private Fold(Sketch sketch, HostTopology host, boolean coloured) {
    this.sketch = sketch;
    this.host = host;
    this.coloured = coloured;
  }

  /** Draws dots by who holds what. */
  static Fold coloured(Sketch sketch, HostTopology host) {
    return new Fold(sketch, host, true);
  }

  /** Draws dots that are grey, where colours mean something else. */
  static Fold plain(Sketch sketch, HostTopology host) {
    return new Fold(sketch, host, false);
  }

  /** Draws them from this point downwards; answers where that ends. */
  double draw(double x, double y, double width, String after, List<PciFunction> functions) {
    if (functions.isEmpty()) {
      return y;
    }
    sketch.open(
        functions.stream().map(f -> f.address().toString()).collect(Collectors.joining(" ")));
    double dots = functions.size() * PITCH;
    String text = text(functions, after);
    boolean beside = dots + 6 + Face.SMALL.width(text) <= width;
    double bottom = dots(x, y + 4, width, functions);
    if (beside) {
      sketch.text(x + dots + 6, y + 12, width - dots - 6, Face.SMALL, Colour.DIM, text);
      bottom = y + LINE;
    } else {
      bottom = sketch.lines(x, bottom + 12, width, 2, Face.SMALL, Colour.DIM, text) - 10;
    }
    sketch.close();
    return bottom;
  }

  /** The same for a bus, with its name before it. */
  double bus(String name, double top, String after, List<PciFunction> functions) {
    double left = HostPicture.LEFT;
    double room = left - 14 - HostPicture.MARGIN;
    sketch.text(HostPicture.MARGIN, top + 12, room, Face.STRONG, Colour.DIM, name);
    double y = draw(left, top, HostPicture.RIGHT - left, after, functions);
    sketch.box(new Area(left - 12, top + 2, 2, y - top - 4), 1, Paint.solid(Colour.EDGE));
    return y + 5;
  }

  /** A dot for each, in lines; answers where they end. */
  private double dots(double x, double y, double width, List<PciFunction> functions) {
    double at = x;
    double top = y;
    for (PciFunction f : functions) {
      if (at + DOT > x + width) {
        at = x;
        top += PITCH;
      }
      Colour colour = Colour.of(Holding.of(host, f));
      boolean plain = !coloured || colour == Colour.UNKNOWN || colour == Colour.BRIDGE;
      sketch.box(new Area(at, top, DOT, DOT), 1.5, Paint.solid(plain ? Colour.EDGE : colour));
      at += PITCH;
    }
    return top + PITCH;
  }

  /** {@code 12 functions of the platform: 8 system, 4 counters}. */
  private static String text(List<PciFunction> functions, String after) {
    Map<String, Integer> kinds = new LinkedHashMap<>();
    functions.forEach(f -> kinds.merge(kind(f), 1, Integer::sum));
    String all =
        kinds.entrySet().stream()
            .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
            .map(e -> e.getValue() + " " + e.getKey())
            .collect(Collectors.joining(", "));
    return (functions.size() == 1 ? "1 function" : functions.size() + " functions")
        + after
        + ": "
        + all;
  }

  private static String kind(PciFunction f) {
    String word = Words.classOf(f);
    return word.equals("?") ? "of unknown class" : word;
  }
}
