// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Function;
import org.vfio4j.host.HostTopology;

/**
 * Draws a host: the tree of bridges from left to right, beside each function the bar of its group,
 * and by colour who holds it.
 */
final class HostDrawing {

  private static final int MARGIN = 28;
  private static final int ROW = 22;
  private static final int STEP = 18;
  private static final int GAP = 14;
  private static final int COLUMN_GAP = 44;
  private static final int HEAD = 112;
  private static final int GROUP = 78;

  /** Widths of a character: of addresses and ids, and of words. */
  private static final double MONO = 6.7;

  private static final double SANS = 6.4;

  private static final String CSS =
      """
      text{font-family:"Inter","Segoe UI","Helvetica Neue","DejaVu Sans",Arial,sans-serif;\
      font-size:11px;fill:#26323d}
      .mono{font-family:"JetBrains Mono","SFMono-Regular",Menlo,Consolas,"DejaVu Sans Mono",monospace}
      .pill{font-size:11px;fill:#fff}
      .dim{fill:#7a8794}
      .bus{font-weight:600;font-size:12px}
      .title{font-weight:700;font-size:20px}
      .sub{font-size:12px;fill:#56636f}
      .group{font-weight:600}
      .rail{stroke:#b8c2cc;stroke-width:1.2;fill:none}
      """;

  private final HostTopology host;
  private final SequencedMap<Integer, GroupFacts> groups;
  private final List<List<DrawingRow>> columns;
  private final double whatWidth;
  private final double idWidth;
  private final double ownerWidth;

  private HostDrawing(HostTopology host) {
    this.host = host;
    this.groups = GroupFacts.of(host);
    this.columns = DrawingColumns.of(DrawingTree.rows(host));
    this.whatWidth = widest(DrawingRow::what, SANS);
    this.idWidth = widest(DrawingRow::ids, MONO);
    this.ownerWidth = widest(DrawingRow::owner, SANS);
  }

  /** The drawing, as SVG that needs nothing else. */
  static String of(HostTopology host) {
    return new HostDrawing(host).draw();
  }

  private double widest(Function<DrawingRow, String> text, double character) {
    return columns.stream()
        .flatMap(List::stream)
        .mapToDouble(r -> text.apply(r).length() * character)
        .max()
        .orElse(0);
  }

  private static double pillWidth(DrawingRow row) {
    return row.label().length() * MONO + 14;
  }

  private static double pillLeft(DrawingRow row) {
    return row.depth() * (double) STEP;
  }

  /** Where the class of a row begins in this column: right of its widest tree. */
  private static double textLeft(List<DrawingRow> column) {
    return column.stream()
            .filter(r -> !r.isHeading())
            .mapToDouble(r -> pillLeft(r) + pillWidth(r))
            .max()
            .orElse(0)
        + GAP;
  }

  private double columnWidth(List<DrawingRow> column) {
    return textLeft(column) + whatWidth + GAP + idWidth + GAP + ownerWidth + GAP + GROUP;
  }

  private String draw() {
    double width = MARGIN * 2.0 + COLUMN_GAP * (columns.size() - 1.0);
    int longest = 0;
    for (List<DrawingRow> column : columns) {
      width += columnWidth(column);
      longest = Math.max(longest, column.size());
    }
    width = Math.max(width, 760);
    int height = HEAD + longest * ROW + MARGIN;
    Svg svg = new Svg((int) Math.ceil(width), height, "IOMMU groups of " + host.name(), CSS);
    svg.box(0, 0, Math.ceil(width), height, 0, "fill=\"#ffffff\"");
    drawHead(svg);
    double x = MARGIN;
    for (List<DrawingRow> column : columns) {
      drawColumn(svg, column, x);
      x += columnWidth(column) + COLUMN_GAP;
    }
    return svg.finish();
  }

  private void drawHead(Svg svg) {
    svg.text(MARGIN, 42, "title", "", Text.printable(host.name()));
    List<String> facts = new ArrayList<>();
    facts.add(Text.count(host.functions().size(), "function"));
    facts.add(Text.count(host.groups().size(), "group"));
    if (!host.mdevs().isEmpty()) {
      facts.add(Text.count(host.mdevs().size(), "mediated device"));
    }
    host.kernel().ifPresent(k -> facts.add("Linux " + Text.printable(k)));
    facts.add("from " + Words.of(host.origin()));
    if (host.functions().stream().allMatch(f -> f.parent().isUnknown() && f.buses().isEmpty())) {
      facts.add("which does not say what each bridge leads to");
    }
    svg.text(MARGIN, 63, "sub", "", String.join("  \u00b7  ", facts));
    Map<Holding, Integer> counts = new EnumMap<>(Holding.class);
    columns.stream()
        .flatMap(List::stream)
        .forEach(r -> r.holding().ifPresent(h -> counts.merge(h, 1, Integer::sum)));
    double x = MARGIN;
    for (Map.Entry<Holding, Integer> entry : counts.entrySet()) {
      String text = entry.getValue() + " " + legend(entry.getKey());
      svg.box(x, 79, 12, 12, 3, "fill=\"" + entry.getKey().colour() + "\"");
      svg.text(x + 18, 89, "", "", text);
      x += 18 + text.length() * SANS + 20;
    }
  }

  private static String legend(Holding holding) {
    return switch (holding) {
      case KEPT -> "needed by the host";
      case HOST -> "held by a host driver";
      case UNKNOWN -> "driver not known";
      case VFIO -> "on VFIO";
      case FREE -> "without a driver";
      case BRIDGE -> "bridges";
    };
  }

  private void drawColumn(Svg svg, List<DrawingRow> column, double x) {
    drawBands(svg, column, x);
    for (int i = 0; i < column.size(); i++) {
      drawRow(svg, column, i, x, HEAD + i * (double) ROW);
    }
  }

  /** The bars of the groups, and a tint behind the rows of one that has several endpoints. */
  private void drawBands(Svg svg, List<DrawingRow> column, double x) {
    double right = x + columnWidth(column) - GROUP;
    int from = 0;
    while (from < column.size()) {
      int to = from + 1;
      Optional<Integer> group = column.get(from).group();
      while (to < column.size() && column.get(to).group().equals(group)) {
        to++;
      }
      if (group.isPresent()) {
        double top = HEAD + from * (double) ROW;
        drawBand(svg, group.get(), x, right, top, (to - from) * (double) ROW);
      }
      from = to;
    }
  }

  private void drawBand(Svg svg, int group, double x, double right, double top, double height) {
    GroupFacts facts = groups.get(group);
    Holding holding = facts == null ? Holding.VFIO : facts.holding();
    boolean shared = facts != null && facts.shared();
    String colour = holding.colour();
    svg.begin(facts == null ? "" : "group " + group + ": " + Text.printable(facts.holder()));
    if (shared) {
      svg.box(
          x + STEP - 6,
          top + 0.5,
          right - x - STEP + GROUP,
          height - 1,
          6,
          "fill=\"" + colour + "\" fill-opacity=\"0.09\"");
    }
    svg.box(right, top + 3, 5, height - 6, 2.5, "fill=\"" + colour + "\"");
    svg.text(right + 12, top + height / 2 + 4, "group", colour, "group " + group);
    svg.end();
  }

  private void drawRow(Svg svg, List<DrawingRow> column, int at, double x, double top) {
    DrawingRow row = column.get(at);
    double middle = top + ROW / 2.0;
    if (row.isHeading()) {
      svg.text(x, middle + 4, "bus", "", row.label());
      return;
    }
    drawRails(svg, row, x, top);
    Holding holding = row.holding().orElseThrow();
    double left = x + pillLeft(row);
    svg.begin(row.tooltip());
    svg.box(left, top + 2.5, pillWidth(row), ROW - 5, 5, "fill=\"" + holding.colour() + "\"");
    svg.text(left + 7, middle + 4, "mono pill", "", row.label());
    double text = x + textLeft(column);
    svg.text(text, middle + 4, "", "", row.what());
    svg.text(text + whatWidth + GAP, middle + 4, "mono dim", "", row.ids());
    svg.text(text + whatWidth + GAP + idWidth + GAP, middle + 4, "", holding.colour(), row.owner());
    svg.end();
  }

  private static void drawRails(Svg svg, DrawingRow row, double x, double top) {
    double middle = top + ROW / 2.0;
    for (int i = 0; i < row.rails().size(); i++) {
      if (row.rails().get(i)) {
        double at = x + railAt(i + 1);
        svg.line(at, top, at, top + ROW, "rail");
      }
    }
    double own = x + railAt(row.depth());
    svg.line(own, top, own, row.last() ? middle : top + ROW, "rail");
    svg.line(own, middle, x + pillLeft(row), middle, "rail");
  }

  /** Where the rail runs that rows of this depth hang on. */
  private static double railAt(int depth) {
    return (depth - 1) * (double) STEP + 8;
  }
}
