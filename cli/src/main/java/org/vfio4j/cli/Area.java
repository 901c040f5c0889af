// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/**
 * A rectangle of a picture, in pixels from its left upper corner.
 *
 * @param x left edge
 * @param y upper edge
 * @param width width, not negative
 * @param height height, not negative
 */
record Area(double x, double y, double width, double height) {

  double right() {
    return x + width;
  }

  double bottom() {
    return y + height;
  }

  double middle() {
    return y + height / 2;
  }

  /** Whether the two have more in common than an edge. */
  boolean overlaps(Area other) {
    return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom();
  }

  /** Whether the other one lies in this one, edges included. */
  boolean contains(Area other) {
    return other.x >= x && other.y >= y && other.right() <= right() && other.bottom() <= bottom();
  }

  /** The same, smaller by so many pixels on each side. */
  Area inset(double by) {
    return new Area(x + by, y + by, width - 2 * by, height - 2 * by);
  }
}
