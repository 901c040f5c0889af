// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * An inclusive range of IOVAs, unsigned: the last page of 2^64 needs no wider type.
 *
 * @param start first address
 * @param last last address
 */
public record IovaRange(long start, long last) {
  /** All of 2^64. */
  public static final IovaRange ALL = new IovaRange(0, -1L);

  /** Checks that the range is not inverted. */
  public IovaRange {
    if (Long.compareUnsigned(last, start) < 0) {
      throw new IllegalArgumentException(
          "inverted range: start=0x%x, last=0x%x".formatted(start, last));
    }
  }

  /** What an address width of {@code bits} (1 to 64) can address. */
  public static IovaRange ofWidth(int bits) {
    return new IovaRange(0, bits == 64 ? -1L : (1L << bits) - 1);
  }

  /** Whether [from, to], both inclusive, lies inside. */
  public boolean contains(long from, long to) {
    return Long.compareUnsigned(start, from) <= 0 && Long.compareUnsigned(to, last) <= 0;
  }

  /** Whether [from, to], both inclusive, shares an address with this range. */
  public boolean overlaps(long from, long to) {
    return Long.compareUnsigned(start, to) <= 0 && Long.compareUnsigned(from, last) <= 0;
  }
}
