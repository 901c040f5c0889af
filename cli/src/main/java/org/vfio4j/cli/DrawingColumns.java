// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;

/** Spreads the rows of a drawing over columns, so that a big host fits on a screen. */
final class DrawingColumns {

  /** Up to so many rows stand in one column. */
  private static final int COMFORTABLE = 48;

  /** How far a column may end before or after its due length, in parts of it. */
  private static final double SLACK = 0.2;

  private static final int CUT_GROUP = 100;

  private DrawingColumns() {}

  /** The columns; one that goes on with a bus says so in its first row. */
  static List<List<DrawingRow>> of(List<DrawingRow> rows) {
    int count = Math.max(1, (int) Math.round(Math.sqrt(rows.size() / (double) COMFORTABLE) * 1.6));
    count = rows.size() <= COMFORTABLE ? 1 : Math.max(2, count);
    int due = Math.ceilDiv(rows.size(), count);
    List<List<DrawingRow>> columns = new ArrayList<>();
    int from = 0;
    String bus = "";
    while (from < rows.size()) {
      int to = end(rows, from, due, columns.size() == count - 1);
      List<DrawingRow> column = new ArrayList<>();
      if (!rows.get(from).isHeading()) {
        column.add(DrawingRow.heading(bus + " (continued)"));
      }
      column.addAll(rows.subList(from, to));
      columns.add(column);
      for (DrawingRow row : rows.subList(from, to)) {
        bus = row.isHeading() ? row.label() : bus;
      }
      from = to;
    }
    return columns;
  }

  /** Where a column ends: near its due length, and there where the tree is cut least. */
  private static int end(List<DrawingRow> rows, int from, int due, boolean lastColumn) {
    int slack = (int) (due * SLACK);
    if (lastColumn || from + due + slack >= rows.size()) {
      return rows.size();
    }
    int best = from + due;
    for (int i = from + due - slack; i <= from + due + slack; i++) {
      int cost = cost(rows, i);
      int bestCost = cost(rows, best);
      boolean nearer = Math.abs(i - from - due) < Math.abs(best - from - due);
      if (cost < bestCost || cost == bestCost && nearer) {
        best = i;
      }
    }
    return best;
  }

  /** How bad it is to cut before this row: within a group most, deep in the tree less. */
  private static int cost(List<DrawingRow> rows, int at) {
    DrawingRow row = rows.get(at);
    boolean inGroup = row.group().isPresent() && row.group().equals(rows.get(at - 1).group());
    return row.depth() + (inGroup ? CUT_GROUP : 0);
  }
}
