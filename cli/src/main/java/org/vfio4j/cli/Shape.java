// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/** A piece of a picture. */
sealed interface Shape {

  /** A rectangle with round corners. */
  record Box(Area area, double radius, Paint paint) implements Shape {}

  /**
   * A line of text.
   *
   * @param area what it covers at most
   * @param baseline where its letters stand
   * @param atRight whether it ends at the right edge of the area, and does not begin at the left
   * @param text the text, of which nothing is reserved or forbidden in XML or steers a screen
   */
  record Label(Area area, double baseline, boolean atRight, Face face, Colour colour, String text)
      implements Shape {}

  /** A line along a path of SVG. */
  record Line(String path, Paint paint) implements Shape {}

  /** A sign. */
  record Sign(Icon icon, Area area, Colour colour) implements Shape {}

  /** What follows, up to the matching {@link Close}, belongs together and is this, in words. */
  record Open(String words) implements Shape {}

  /** The end of what belongs together. */
  record Close() implements Shape {}
}
