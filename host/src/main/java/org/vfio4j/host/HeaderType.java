// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/** Layout of a function's config space header, low seven bits of offset 0x0e. */
public enum HeaderType {
  /** Type 0: an endpoint. */
  NORMAL("normal"),
  /** Type 1: a PCI-to-PCI bridge, and every PCIe port. VFIO exempts it from viability. */
  BRIDGE("bridge"),
  /** Type 2: a CardBus bridge. */
  CARDBUS("cardbus");

  private final String word;

  HeaderType(String word) {
    this.word = word;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }

  /** The type with this number (the multi-function bit taken off); empty if there is none. */
  public static Optional<HeaderType> ofCode(int code) {
    return code >= 0 && code < values().length ? Optional.of(values()[code]) : Optional.empty();
  }
}
