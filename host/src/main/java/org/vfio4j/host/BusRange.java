// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

/**
 * Buses behind a bridge.
 *
 * @param secondary the bus right behind it, 0 to 255
 * @param subordinate the highest bus behind it, inclusive, not below {@code secondary}
 */
public record BusRange(int secondary, int subordinate) {

  /** Checks the bounds. */
  public BusRange {
    if (secondary < 0 || subordinate > 0xff || secondary > subordinate) {
      throw new IllegalArgumentException(
          "impossible bus range: %02x-%02x".formatted(secondary, subordinate));
    }
  }

  @Override
  public String toString() {
    return "%02x-%02x".formatted(secondary, subordinate);
  }
}
