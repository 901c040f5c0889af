// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;

/**
 * A picture, laid out.
 *
 * @param width in pixels
 * @param height in pixels
 * @param title what it shows, in a few words
 * @param description the same in a sentence or two, for who does not see it
 * @param shapes what it consists of, the first undermost
 */
record Picture(int width, int height, String title, String description, List<Shape> shapes) {
  Picture {
    shapes = List.copyOf(shapes);
  }
}
