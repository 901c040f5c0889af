// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * The fields that a read and a write of the client's memory have in common.
 *
 * <pre>
 *  0                               8                              16
 *  +-------------------------------+-------------------------------+
 *  |        address (IOVA)         |             count             |
 *  +-------------------------------+-------------------------------+
 *  |  count bytes, in a write and in the reply to a read
 *  +---------------
 * </pre>
 */
public final class DmaAccess {
  /** Bytes without data. */
  public static final int SIZE = 16;

  /** Where the data is, from the beginning of the payload. */
  public static final int DATA = SIZE;

  private DmaAccess() {}

  /** The first IOVA. */
  public static long address(MemorySegment from, long at) {
    return Fields.get64(from, at);
  }

  /** Bytes to transfer; unsigned. */
  public static long count(MemorySegment from, long at) {
    return Fields.get64(from, at + 8);
  }

  static void check(int command, MemorySegment from, long at, long size, boolean data) {
    Fields.atLeast(command, size, SIZE);
    long count = data ? count(from, at) : 0;
    if (count < 0 || size - SIZE != count) {
      throw new MessageException(
          "%s has another length than its fields say: count=%s, data=%d bytes"
              .formatted(Command.name(command), Long.toUnsignedString(count), size - SIZE));
    }
  }

  /** Writes the fixed part. */
  public static void encode(MemorySegment to, long at, long address, long count) {
    Fields.put64(to, at, address);
    Fields.put64(to, at + 8, count);
  }
}
