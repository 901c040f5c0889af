// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import org.vfio4j.vfio.DriverKind;
import picocli.CommandLine.Help.Ansi.Style;

/**
 * Who would hold a function, or a group, if nothing were changed. Ordered: what comes first decides
 * for a group.
 */
enum Holding {
  /** The host needs it: boot disk, management network, console. */
  KEPT("kept", "needed by the host itself", Style.fg_red, "#c62828"),
  /** A driver of the host has it. */
  HOST("host", "held by a driver of the host", Style.fg_yellow, "#b26a00"),
  /** The source does not say which driver it has. */
  UNKNOWN("unknown", "driver not known", Style.fg_magenta, "#7b1fa2"),
  /** A VFIO driver has it: it can be given away. */
  VFIO("vfio", "on a VFIO driver: can be given away", Style.fg_green, "#2e7d32"),
  /** No driver has it: it can be bound to one of VFIO. */
  FREE("free", "without a driver: can be bound to vfio-pci", Style.fg_cyan, "#00687a"),
  /** A bridge: it stays with the host and is in nobody's way. */
  BRIDGE("bridge", "bridges: stay with the host, in nobody's way", Style.faint, "#607080");

  private final String word;
  private final String meaning;
  private final Style style;
  private final String colour;

  Holding(String word, String meaning, Style style, String colour) {
    this.word = word;
    this.meaning = meaning;
    this.style = style;
    this.colour = colour;
  }

  /** Who holds this function. */
  static Holding of(HostTopology host, PciFunction function) {
    if (!host.rolesOf(function.address()).isEmpty()) {
      return KEPT;
    }
    if (function.isBridge().orElse(false)) {
      return BRIDGE;
    }
    if (function.offeredByVendor()) {
      return VFIO;
    }
    return switch (function.driver()) {
      case Fact.Known<String>(String driver) ->
          DriverKind.of(driver, false) == DriverKind.HOST ? HOST : VFIO;
      case Fact.None<String>() -> FREE;
      case Fact.Unknown<String>() -> UNKNOWN;
    };
  }

  /** The word for it in JSON. */
  String word() {
    return word;
  }

  /** The same for a reader. */
  String meaning() {
    return meaning;
  }

  Style style() {
    return style;
  }

  /** Colour in a drawing, dark enough for white text on it. */
  String colour() {
    return colour;
  }
}
