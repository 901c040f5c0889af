// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Set;
import org.vfio4j.host.PciClass;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciId;

/** What a function is to who looks for something to give away. */
enum DeviceKind {
  DISPLAY(Icon.DISPLAY),
  NETWORK(Icon.NETWORK),
  DISK(Icon.DISK),
  USB(Icon.USB),
  AUDIO(Icon.AUDIO),
  ACCELERATOR(Icon.ACCELERATOR),
  OTHER(Icon.CHIP),
  /** A part of the platform: one asks for it by its address only. */
  CHIPSET(Icon.CHIP),
  BRIDGE(Icon.CHIP);

  private static final int INTEL = 0x8086;
  private static final int AMD = 0x1022;
  private static final int NVIDIA = 0x10de;

  /** Intel's DSA and IAA, which have the class of a system peripheral. */
  private static final Set<Integer> ACCELERATORS = Set.of(0x0b25, 0x0cfe, 0x11fb, 0x1212);

  private final Icon icon;

  DeviceKind(Icon icon) {
    this.icon = icon;
  }

  Icon icon() {
    return icon;
  }

  /** The kind of this function; one whose class is not known is no part of the platform. */
  static DeviceKind of(PciFunction function) {
    if (function.isBridge().orElse(false)) {
      return BRIDGE;
    }
    return function
        .classCode()
        .map(c -> of(c, function.id().map(PciId::vendor).orElse(0), function))
        .orElse(OTHER);
  }

  private static DeviceKind of(PciClass code, int vendor, PciFunction function) {
    return switch (code.base()) {
      case 0x00 -> code.sub() == 0x01 ? DISPLAY : OTHER;
      case 0x01 -> DISK;
      case 0x02, 0x0d -> NETWORK;
      case 0x03 -> DISPLAY;
      case 0x04 -> code.sub() == 0x00 || code.sub() == 0x80 ? OTHER : AUDIO;
      case 0x05, 0x11, 0x13 -> CHIPSET;
      case 0x06 -> vendor == NVIDIA && code.sub() == 0x80 ? ACCELERATOR : CHIPSET;
      case 0x07, 0xff -> vendor == INTEL ? CHIPSET : OTHER;
      case 0x08 -> system(code, function);
      case 0x0b -> code.sub() == 0x40 ? ACCELERATOR : CHIPSET;
      case 0x0c -> serial(code);
      case 0x10 -> vendor == AMD ? CHIPSET : ACCELERATOR;
      case 0x12, 0x40 -> ACCELERATOR;
      default -> OTHER;
    };
  }

  private static DeviceKind system(PciClass code, PciFunction function) {
    boolean accelerator =
        function
            .id()
            .filter(i -> i.vendor() == INTEL && ACCELERATORS.contains(i.device()))
            .isPresent();
    return accelerator ? ACCELERATOR : code.sub() == 0x05 ? OTHER : CHIPSET;
  }

  private static DeviceKind serial(PciClass code) {
    return switch (code.sub()) {
      case 0x03 -> USB;
      case 0x04 -> DISK;
      case 0x05, 0x07, 0x80 -> CHIPSET;
      default -> OTHER;
    };
  }
}
