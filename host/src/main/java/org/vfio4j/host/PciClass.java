// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/**
 * Class code of a function. Listings give 16 bits (base and subclass); sysfs, config space and the
 * kernel log give 24.
 *
 * @param base base class, 8 bits: 0x06 is a bridge
 * @param sub subclass, 8 bits: 0x0604 is a PCI-to-PCI bridge
 * @param progIf programming interface, 8 bits; empty where the source gives only 16 bits
 */
public record PciClass(int base, int sub, Optional<Integer> progIf) {

  /** Checks that each part is 8 bits. */
  public PciClass {
    if ((base & ~0xff) != 0 || (sub & ~0xff) != 0 || (progIf.orElse(0) & ~0xff) != 0) {
      throw new IllegalArgumentException("PCI class out of range");
    }
  }

  /** The class of a 24-bit code, as sysfs {@code class} gives it. */
  public static PciClass of24(int code) {
    return new PciClass(code >> 16 & 0xff, code >> 8 & 0xff, Optional.of(code & 0xff));
  }

  /** The class of a 16-bit code, as {@code lspci -nn} gives it. */
  public static PciClass of16(int code) {
    return new PciClass(code >> 8 & 0xff, code & 0xff, Optional.empty());
  }

  /**
   * Reads four or six hex digits.
   *
   * @throws IllegalArgumentException if the text is neither
   */
  public static PciClass parse(String text) {
    if (!text.matches("[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?")) {
      throw new IllegalArgumentException("no PCI class (4 or 6 hex digits): '" + text + "'");
    }
    int code = Integer.parseInt(text, 16);
    return text.length() == 4 ? of16(code) : of24(code);
  }

  /** Base class and subclass as one number: 0x0604. */
  public int code16() {
    return base << 8 | sub;
  }

  /** Whether the class says PCI-to-PCI, CardBus or semi-transparent bridge (0604, 0607, 0609). */
  public boolean isPciBridge() {
    return base == 0x06 && (sub == 0x04 || sub == 0x07 || sub == 0x09);
  }

  /** Four hex digits, or six where the programming interface is known. */
  @Override
  public String toString() {
    String code = "%04x".formatted(code16());
    return progIf.map(p -> code + "%02x".formatted(p)).orElse(code);
  }
}
