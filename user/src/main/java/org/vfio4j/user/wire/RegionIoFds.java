// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * GET_REGION_IO_FDS: parts of a region where a write is a signal to an eventfd, without a message.
 * Command and reply have the same form; a command has no entries. The descriptors come beside the
 * reply.
 *
 * <pre>
 *  0               4               8              12              16
 *  +---------------+---------------+---------------+---------------+
 *  |     argsz     |   flags (0)   |     index     |     count     |
 *  +---------------+---------------+---------------+---------------+
 *  each entry:
 *  +-------------------------------+-------------------------------+
 *  |            offset             |             size              |
 *  +---------------+---------------+---------------+---------------+
 *  |   fd_index    |     type      |     flags     |    padding    |
 *  +---------------+---------------+---------------+---------------+
 *  |  datamatch (type 0), user_data (type 1)       |
 *  +-------------------------------+---------------+ 40
 *  type: 0 ioeventfd, 1 ioregionfd
 * </pre>
 *
 * @param argsz in a command bytes at most of the reply's payload, in a reply bytes that it needs
 * @param flags zero
 * @param index of the region
 * @param count how many entries the region has; in a reply that had no room for them more than
 *     {@code entries}
 * @param entries the parts
 */
public record RegionIoFds(int argsz, int flags, int index, int count, List<Entry> entries)
    implements Message {
  /** Bytes without entries. */
  public static final int SIZE = 16;

  public static final int ENTRY_SIZE = 40;

  public static final int IOEVENTFD = 0;
  public static final int IOREGIONFD = 1;

  /** {@code KVM_IOEVENTFD_FLAG_DATAMATCH}: only a write of {@code data} is a signal. */
  public static final int DATAMATCH = 1;

  /**
   * A part of a region.
   *
   * @param offset bytes into the region
   * @param size bytes; 0 if the size of the access does not matter
   * @param fdIndex which of the descriptors beside the message; several may share one
   * @param type {@link #IOEVENTFD} or {@link #IOREGIONFD}
   * @param flags KVM's
   * @param data what has to be written, or what an ioregionfd passes on
   */
  public record Entry(long offset, long size, int fdIndex, int type, int flags, long data) {}

  /** Copies the list. */
  public RegionIoFds {
    entries = List.copyOf(entries);
  }

  /** A command as a client sends it. */
  public static RegionIoFds of(int index, int argsz) {
    return new RegionIoFds(argsz, 0, index, 0, List.of());
  }

  /**
   * A reply to a command.
   *
   * @param argsz the command's: with too little room for the entries they are left out
   */
  public static RegionIoFds reply(int index, List<Entry> entries, int argsz) {
    int needed = SIZE + ENTRY_SIZE * entries.size();
    boolean fits = Integer.compareUnsigned(argsz, needed) >= 0;
    return new RegionIoFds(needed, 0, index, entries.size(), fits ? entries : List.of());
  }

  /** Reads a command. */
  public static RegionIoFds parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.GET_REGION_IO_FDS, from, at, size, SIZE);
    int flags = Fields.get32(from, at + 4);
    int count = Fields.get32(from, at + 12);
    if (flags != 0 || count != 0) {
      throw new MessageException(
          "GET_REGION_IO_FDS with fields that must be zero: flags=0x%x, count=%d"
              .formatted(flags, Integer.toUnsignedLong(count)));
    }
    return of(Fields.get32(from, at + 8), argsz);
  }

  /** Reads a reply. */
  public static RegionIoFds parseReply(MemorySegment from, long at, long size) {
    Fields.atLeast(Command.GET_REGION_IO_FDS, size, SIZE);
    int count = Fields.get32(from, at + 12);
    List<Entry> entries = new ArrayList<>();
    if (size > SIZE) {
      Fields.exactly(
          Command.GET_REGION_IO_FDS, size, SIZE + ENTRY_SIZE * Integer.toUnsignedLong(count));
      for (long entry = at + SIZE; entry < at + size; entry += ENTRY_SIZE) {
        entries.add(
            new Entry(
                Fields.get64(from, entry),
                Fields.get64(from, entry + 8),
                Fields.get32(from, entry + 16),
                Fields.get32(from, entry + 20),
                Fields.get32(from, entry + 24),
                Fields.get64(from, entry + 32)));
      }
    }
    return new RegionIoFds(
        Fields.get32(from, at),
        Fields.get32(from, at + 4),
        Fields.get32(from, at + 8),
        count,
        entries);
  }

  @Override
  public int command() {
    return Command.GET_REGION_IO_FDS;
  }

  @Override
  public int length() {
    return SIZE + ENTRY_SIZE * entries.size();
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
    Fields.put32(to, at + 8, index);
    Fields.put32(to, at + 12, count);
    long next = at + SIZE;
    for (Entry entry : entries) {
      Fields.put64(to, next, entry.offset());
      Fields.put64(to, next + 8, entry.size());
      Fields.put32(to, next + 16, entry.fdIndex());
      Fields.put32(to, next + 20, entry.type());
      Fields.put32(to, next + 24, entry.flags());
      Fields.put32(to, next + 28, 0);
      Fields.put64(to, next + 32, entry.data());
      next += ENTRY_SIZE;
    }
  }
}
