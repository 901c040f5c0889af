// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * DMA_UNMAP: memory that the device may not reach any more. The reply is the same structure.
 *
 * <pre>
 *  0               4               8                              16
 *  +---------------+---------------+-------------------------------+
 *  |     argsz     |     flags     |        address (IOVA)         |
 *  +---------------+---------------+-------------------------------+
 *  |             size              |
 *  +-------------------------------+ 24
 *  flags: bit 0 a bitmap of dirty pages is wanted, bit 1 all of the address space
 * </pre>
 *
 * The protocol leaves the flags unused; QEMU sends those of the kernel's {@code
 * VFIO_IOMMU_UNMAP_DMA}, which is where they are from.
 *
 * @param argsz bytes at most of the reply's payload
 * @param flags as drawn
 * @param address the first IOVA
 * @param size bytes
 */
public record DmaUnmap(int argsz, int flags, long address, long size) implements Message {
  public static final int SIZE = 24;

  public static final int GET_DIRTY_BITMAP = 1;
  public static final int ALL = 2;

  private static final int FLAGS_AT = 4;
  private static final int ADDRESS_AT = 8;
  private static final int SIZE_AT = 16;

  /** An unmap as a client asks for it. */
  public DmaUnmap(int flags, long address, long size) {
    this(SIZE, flags, address, size);
  }

  /** Refuses a payload whose fields are not all there, or flags that mean nothing. */
  public static void check(MemorySegment from, long at, long size) {
    Fields.argsz(Command.DMA_UNMAP, from, at, size, SIZE);
    int flags = flags(from, at);
    if ((flags & ~(GET_DIRTY_BITMAP | ALL)) != 0) {
      throw new MessageException("unknown flags of DMA_UNMAP: flags=0x%x".formatted(flags));
    }
  }

  /** Reads it. */
  public static DmaUnmap parse(MemorySegment from, long at, long size) {
    check(from, at, size);
    return new DmaUnmap(Fields.get32(from, at), flags(from, at), address(from, at), size(from, at));
  }

  /** The command's flags. */
  public static int flags(MemorySegment from, long at) {
    return Fields.get32(from, at + FLAGS_AT);
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
    return Command.DMA_UNMAP;
  }

  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + FLAGS_AT, flags);
    Fields.put64(to, at + ADDRESS_AT, address);
    Fields.put64(to, at + SIZE_AT, size);
  }
}
