// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

/**
 * Where registers end.
 *
 * @param name what they are, for messages
 * @param size bytes
 */
record RegisterBounds(String name, long size) {
  /** Refuses what lies outside, or across two registers. */
  void check(long offset, int width) {
    if (offset < 0 || offset > size - width) {
      throw new IndexOutOfBoundsException(
          "%s ends at 0x%x: offset=0x%x, width=%d".formatted(name, size, offset, width));
    }
    if ((offset & (width - 1)) != 0) {
      throw new IllegalArgumentException(
          "%s: not aligned: offset=0x%x, width=%d".formatted(name, offset, width));
    }
  }
}
