// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

/**
 * Vendor and device number, of a function or of its subsystem.
 *
 * @param vendor vendor, 16 bits
 * @param device device, 16 bits
 */
public record PciId(int vendor, int device) {

  /** Checks that both are 16 bits. */
  public PciId {
    if ((vendor & ~0xffff) != 0 || (device & ~0xffff) != 0) {
      throw new IllegalArgumentException("PCI id out of range: %x:%x".formatted(vendor, device));
    }
  }

  /**
   * Reads {@code 10de:2206}.
   *
   * @throws IllegalArgumentException if the text is no pair of four hex digits each
   */
  public static PciId parse(String text) {
    if (!text.matches("[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")) {
      throw new IllegalArgumentException("no PCI id (vvvv:dddd): '" + text + "'");
    }
    return new PciId(
        Integer.parseInt(text, 0, 4, 16), Integer.parseInt(text, 5, text.length(), 16));
  }

  @Override
  public String toString() {
    return "%04x:%04x".formatted(vendor, device);
  }
}
