// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;

/**
 * How a shape is filled and edged.
 *
 * @param fill colour inside
 * @param opacity of the fill, up to 1
 * @param edge colour of the edge
 * @param width of the edge, in pixels
 * @param dashed whether the edge is dashed
 */
record Paint(
    Optional<Colour> fill, double opacity, Optional<Colour> edge, double width, boolean dashed) {

  static Paint solid(Colour colour) {
    return new Paint(Optional.of(colour), 1, Optional.empty(), 0, false);
  }

  static Paint tint(Colour colour) {
    return new Paint(Optional.of(colour), 0.08, Optional.empty(), 0, false);
  }

  static Paint edge(Colour colour, double width) {
    return new Paint(Optional.empty(), 1, Optional.of(colour), width, false);
  }

  Paint edged(Colour colour, double wide) {
    return new Paint(fill, opacity, Optional.of(colour), wide, dashed);
  }

  Paint inDashes() {
    return new Paint(fill, opacity, edge, width, true);
  }
}
