// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/** How a piece of text looks on a terminal. */
enum Style {
  BOLD("1"),
  DIM("2"),
  RED("31"),
  GREEN("32"),
  YELLOW("33"),
  BLUE("34"),
  MAGENTA("35"),
  CYAN("36");

  private final String code;

  Style(String code) {
    this.code = code;
  }

  /** The text between this style's escape sequences. */
  String around(String text) {
    return "\u001b[" + code + "m" + text + "\u001b[0m";
  }
}
