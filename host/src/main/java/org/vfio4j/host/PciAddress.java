// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Comparator;
import java.util.Optional;

/**
 * Address of a PCI function as the kernel writes it: {@code domain:bus:device.function} in hex.
 * Ordered by the four parts.
 *
 * @param domain PCI domain (segment), 0 to 2^31-1; more than 16 bits behind an Intel VMD
 * @param bus bus number, 0 to 255
 * @param device device (slot) on the bus, 0 to 31
 * @param function function of the device, 0 to 7
 */
public record PciAddress(int domain, int bus, int device, int function)
    implements Comparable<PciAddress> {

  private static final Comparator<PciAddress> ORDER =
      Comparator.comparingInt(PciAddress::domain)
          .thenComparingInt(PciAddress::bus)
          .thenComparingInt(PciAddress::device)
          .thenComparingInt(PciAddress::function);

  /** Checks the bounds of the four parts. */
  public PciAddress {
    if (domain < 0 || bus < 0 || bus > 0xff || device < 0 || device > 0x1f) {
      throw new IllegalArgumentException(
          "no PCI address: domain=%d, bus=%d, device=%d".formatted(domain, bus, device));
    }
    if (function < 0 || function > 7) {
      throw new IllegalArgumentException("no PCI function number: " + function);
    }
  }

  /**
   * Reads {@code 0000:01:00.0} or, in domain 0, {@code 01:00.0}.
   *
   * @throws IllegalArgumentException if the text is no PCI address
   */
  public static PciAddress parse(String text) {
    return tryParse(text)
        .orElseThrow(() -> new IllegalArgumentException("no PCI address: '" + text + "'"));
  }

  /** Reads an address as {@link #parse} does; empty if the text is none. */
  public static Optional<PciAddress> tryParse(String text) {
    int length = text.length();
    if (length < 7 || length > 16 || text.charAt(length - 2) != '.') {
      return Optional.empty();
    }
    int function = hex(text, length - 1, length);
    int device = text.charAt(length - 5) == ':' ? hex(text, length - 4, length - 2) : -1;
    int bus = hex(text, length - 7, length - 5);
    int domain = 0;
    if (length > 7) {
      boolean full = length >= 12 && text.charAt(length - 8) == ':';
      domain = full ? hex(text, 0, length - 8) : -1;
    }
    if (function < 0 || function > 7 || device < 0 || device > 0x1f || bus < 0 || domain < 0) {
      return Optional.empty();
    }
    return Optional.of(new PciAddress(domain, bus, device, function));
  }

  /** The hex number in {@code [from, to)}, or -1 if it is none or needs more than 31 bits. */
  private static int hex(String text, int from, int to) {
    long value = 0;
    for (int i = from; i < to; i++) {
      int digit = text.charAt(i) < 128 ? Character.digit(text.charAt(i), 16) : -1;
      if (digit < 0) {
        return -1;
      }
      value = value << 4 | digit;
    }
    return value > Integer.MAX_VALUE ? -1 : (int) value;
  }

  /** Whether the other address differs at most in the function number. */
  public boolean sameDevice(PciAddress other) {
    return domain == other.domain && bus == other.bus && device == other.device;
  }

  /** The same place in another domain. */
  PciAddress inDomain(int other) {
    return new PciAddress(other, bus, device, function);
  }

  @Override
  public int compareTo(PciAddress other) {
    return ORDER.compare(this, other);
  }

  @Override
  public String toString() {
    return "%04x:%02x:%02x.%x".formatted(domain, bus, device, function);
  }
}
