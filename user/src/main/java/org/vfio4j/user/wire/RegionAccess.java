// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * The fields that a read and a write of a region have in common, read without making an object.
 *
 * <pre>
 *  0                               8              12              16
 *  +-------------------------------+---------------+---------------+
 *  |            offset             |    region     |     count     |
 *  +-------------------------------+---------------+---------------+
 *  |  count bytes, in a write and in the reply to a read
 *  +---------------
 * </pre>
 */
public final class RegionAccess {
  /** Bytes without data. */
  public static final int SIZE = 16;

  /** Where the data is, from the beginning of the payload. */
  public static final int DATA = SIZE;

  private static final int REGION_AT = 8;
  private static final int COUNT_AT = 12;

  private RegionAccess() {}

  /**
   * Refuses a payload whose fields are not all there, or whose data is not as long as they say.
   *
   * @param command REGION_READ or REGION_WRITE
   */
  public static void check(int command, MemorySegment from, long at, long size, boolean data) {
    Fields.atLeast(command, size, SIZE);
    long count = data ? Integer.toUnsignedLong(count(from, at)) : 0;
    if (size != SIZE + count) {
      Fields.exactly(command, size, SIZE + count);
    }
  }

  /** Bytes into the region. */
  public static long offset(MemorySegment from, long at) {
    return Fields.get64(from, at);
  }

  /** The region's index. */
  public static int region(MemorySegment from, long at) {
    return Fields.get32(from, at + REGION_AT);
  }

  /** Bytes to transfer; unsigned. */
  public static int count(MemorySegment from, long at) {
    return Fields.get32(from, at + COUNT_AT);
  }

  /** Writes the fixed part. */
  public static void encode(MemorySegment to, long at, long offset, int region, int count) {
    Fields.put64(to, at, offset);
    Fields.put32(to, at + REGION_AT, region);
    Fields.put32(to, at + COUNT_AT, count);
  }
}
