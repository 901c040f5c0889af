// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * DMA_MAP: memory of the client that the device may reach from now on. With a descriptor the server
 * maps it; without one it asks by {@link DmaRead} and {@link DmaWrite}. The reply has no payload.
 *
 * <pre>
 *  0               4               8                              16
 *  +---------------+---------------+-------------------------------+
 *  |     argsz     |     flags     |  offset into the descriptor   |
 *  +---------------+---------------+-------------------------------+
 *  |        address (IOVA)         |             size              |
 *  +-------------------------------+-------------------------------+ 32
 *  flags: bit 0 the device may read, bit 1 it may write
 * </pre>
 *
 * @param argsz bytes of this structure
 * @param flags as drawn
 * @param offset bytes into the file
 * @param address the first IOVA
 * @param size bytes
 */
public record DmaMap(int argsz, int flags, long offset, long address, long size)
    implements Message {
  public static final int SIZE = 32;

  public static final int READ = 1;
  public static final int WRITE = 2;

  private static final int FLAGS_AT = 4;
  private static final int OFFSET_AT = 8;
  private static final int ADDRESS_AT = 16;
  private static final int SIZE_AT = 24;

  /** A mapping as a client asks for it. */
  public DmaMap(int flags, long offset, long address, long size) {
    this(SIZE, flags, offset, address, size);
  }

  /** Refuses a payload whose fields are not all there, or flags that mean nothing. */
  public static void check(MemorySegment from, long at, long size) {
    Fields.argsz(Command.DMA_MAP, from, at, size, SIZE);
    int flags = flags(from, at);
    if ((flags & ~(READ | WRITE)) != 0) {
      throw new MessageException("unknown flags of DMA_MAP: flags=0x%x".formatted(flags));
    }
  }

  /** Reads it. */
  public static DmaMap parse(MemorySegment from, long at, long size) {
    check(from, at, size);
    return new DmaMap(
        Fields.get32(from, at),
        flags(from, at),
        offset(from, at),
        address(from, at),
        size(from, at));
  }

  /** What the device may do there: {@link #READ}, {@link #WRITE}. */
  public static int flags(MemorySegment from, long at) {
    return Fields.get32(from, at + FLAGS_AT);
  }

  /** Where in the file the memory begins, in bytes. */
  public static long offset(MemorySegment from, long at) {
    return Fields.get64(from, at + OFFSET_AT);
  }

  /** The first IOVA. */
  public static long address(MemorySegment from, long at) {
    return Fields.get64(from, at + ADDRESS_AT);
  }

  /** Bytes, to be taken as unsigned. */
  public static long size(MemorySegment from, long at) {
    return Fields.get64(from, at + SIZE_AT);
  }

  @Override
  public int command() {
    return Command.DMA_MAP;
  }

  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + FLAGS_AT, flags);
    Fields.put64(to, at + OFFSET_AT, offset);
    Fields.put64(to, at + ADDRESS_AT, address);
    Fields.put64(to, at + SIZE_AT, size);
  }
}
