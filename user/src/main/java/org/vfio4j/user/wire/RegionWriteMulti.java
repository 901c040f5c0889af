// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * REGION_WRITE_MULTI: several small writes in one message. QEMU sends it when its queue is long,
 * and wants no reply. The reply has the first field only: how many writes were done.
 *
 * <pre>
 *  0                               8
 *  +-------------------------------+
 *  |            writes             |
 *  +-------------------------------+---------------+---------------+
 *  |            offset             |    region     |     count     |   each of 24 bytes
 *  +-------------------------------+---------------+---------------+
 *  |    data, count of 8 bytes     |
 *  +-------------------------------+
 * </pre>
 *
 * @param writes in the order they are to be done
 */
public record RegionWriteMulti(List<Write> writes) implements Message {
  /** Bytes without writes, and of a reply. */
  public static final int SIZE = 8;

  /** Bytes of one write. */
  public static final int WRITE_SIZE = 24;

  /** Where the data of a write is, from the beginning of that write. */
  public static final int DATA = 16;

  /** Bytes that one write can carry. */
  public static final int MAX_COUNT = 8;

  /**
   * A write.
   *
   * @param offset bytes into the region
   * @param region its index
   * @param count bytes, at most {@link #MAX_COUNT}
   * @param data the bytes, the first one lowest
   */
  public record Write(long offset, int region, int count, long data) {}

  /** Copies the list. */
  public RegionWriteMulti {
    writes = List.copyOf(writes);
  }

  /** Refuses a payload that is not as long as its first field says, or a write that is too long. */
  public static void check(MemorySegment from, long at, long size) {
    Fields.atLeast(Command.REGION_WRITE_MULTI, size, SIZE);
    long writes = writes(from, at);
    if (writes < 0 || writes > (size - SIZE) / WRITE_SIZE) {
      throw new MessageException(
          "REGION_WRITE_MULTI has fewer writes than it says: writes=%s, payload=%d bytes"
              .formatted(Long.toUnsignedString(writes), size));
    }
    if (size != SIZE + WRITE_SIZE * writes) {
      Fields.exactly(Command.REGION_WRITE_MULTI, size, SIZE + WRITE_SIZE * writes);
    }
    for (long i = 0; i < writes; i++) {
      int count = RegionAccess.count(from, write(at, i));
      if (Integer.compareUnsigned(count, MAX_COUNT) > 0) {
        throw new MessageException(
            "write %d of REGION_WRITE_MULTI is too long: count=%d, max=%d"
                .formatted(i, Integer.toUnsignedLong(count), MAX_COUNT));
      }
    }
  }

  /** How many writes a checked payload has. */
  public static long writes(MemorySegment from, long at) {
    return Fields.get64(from, at);
  }

  /** Where a write of a payload begins; its fields are those of {@link RegionAccess}. */
  public static long write(long at, long index) {
    return at + SIZE + WRITE_SIZE * index;
  }

  /** Reads it. */
  public static RegionWriteMulti parse(MemorySegment from, long at, long size) {
    check(from, at, size);
    List<Write> writes = new ArrayList<>();
    for (long i = 0; i < writes(from, at); i++) {
      long write = write(at, i);
      writes.add(
          new Write(
              RegionAccess.offset(from, write),
              RegionAccess.region(from, write),
              RegionAccess.count(from, write),
              Fields.get64(from, write + DATA)));
    }
    return new RegionWriteMulti(writes);
  }

  @Override
  public int command() {
    return Command.REGION_WRITE_MULTI;
  }

  @Override
  public int length() {
    return SIZE + WRITE_SIZE * writes.size();
  }

  @Override
  public void encode(MemorySegment to, long at) {
    encodeReply(to, at, writes.size());
    for (int i = 0; i < writes.size(); i++) {
      long write = write(at, i);
      Write w = writes.get(i);
      RegionAccess.encode(to, write, w.offset(), w.region(), w.count());
      Fields.put64(to, write + DATA, w.data());
    }
  }

  /** Writes a reply. */
  public static void encodeReply(MemorySegment to, long at, long done) {
    Fields.put64(to, at, done);
  }
}
