// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

/** One form of text that tells of a host: what a program prints, or a script that many use. */
interface TextForm {

  /**
   * Takes the line if it is of this form.
   *
   * @return whether it was taken
   */
  boolean take(TextLine line, TextReading reading);

  /** Whether a line that is too long for people may be of this form. */
  default boolean takesLongLines() {
    return false;
  }

  /** Says that nothing follows any more. */
  default void end(TextReading reading) {}
}
