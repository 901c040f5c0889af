// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Locale;

/**
 * A colour of a picture, for bright and for dark screens. Whoever cannot tell two of them apart
 * finds the same in words.
 */
enum Colour {
  /** What is drawn upon. */
  GROUND("#ffffff", "#0d1117"),
  /** Below a device. */
  PANEL("#f6f8fa", "#161b22"),
  /** Text. */
  INK("#1f2328", "#e6edf3"),
  /** Text that comes second. */
  DIM("#59636e", "#9198a1"),
  /** Edges and rails. */
  EDGE("#b7c0c9", "#4a525c"),
  /** Needed by the host; refused. */
  KEPT("#b3261e", "#ff8f88"),
  /** Held by a driver of the host. */
  HOST("#8a5300", "#e3a54a"),
  /** Not known. */
  UNKNOWN("#656d76", "#9198a1"),
  /** On VFIO; attached. */
  VFIO("#116329", "#5bd27c"),
  /** Without a driver. */
  FREE("#00606f", "#56c8d8"),
  /** Bridges. */
  BRIDGE("#57606a", "#8b949e"),
  /** The first VM, and each sixth after it. */
  VM_1("#0b57d0", "#7fb2ff"),
  /** The second VM. */
  VM_2("#7b2cbf", "#cf9bff"),
  /** The third VM. */
  VM_3("#006b5f", "#4fd1bf"),
  /** The fourth VM. */
  VM_4("#a8155c", "#ff8fc2"),
  /** The fifth VM. */
  VM_5("#7a4b00", "#e0b070"),
  /** The sixth VM. */
  VM_6("#3d4fb0", "#a5b4ff");

  private static final int VMS = 6;

  private final String light;
  private final String dark;

  Colour(String light, String dark) {
    this.light = light;
    this.dark = dark;
  }

  /** On a bright screen, as in {@code #1f2328}. */
  String light() {
    return light;
  }

  /** On a dark screen. */
  String dark() {
    return dark;
  }

  /** The name of the classes that use it. */
  String css() {
    return name().toLowerCase(Locale.ROOT).replace("_", "");
  }

  /** The colour of the VM with this number, from 0. */
  static Colour ofVm(int number) {
    return values()[VM_1.ordinal() + number % VMS];
  }

  /** The colour for who holds something. */
  static Colour of(Holding holding) {
    return switch (holding) {
      case KEPT -> KEPT;
      case HOST -> HOST;
      case UNKNOWN -> UNKNOWN;
      case VFIO -> VFIO;
      case FREE -> FREE;
      case BRIDGE -> BRIDGE;
    };
  }
}
