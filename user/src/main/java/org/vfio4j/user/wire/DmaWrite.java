// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * DMA_WRITE, from server to client: writes memory that came without a descriptor. The data stands
 * behind the fields. The reply has the fields only; QEMU's has none. For the layout see {@link
 * DmaAccess}.
 *
 * @param address the first IOVA
 * @param count bytes to transfer, at most the receiver's max_data_xfer_size
 */
public record DmaWrite(long address, long count) implements Message {

  /** Reads the fields of a command. */
  public static DmaWrite parse(MemorySegment from, long at, long size) {
    DmaAccess.check(Command.DMA_WRITE, from, at, size, true);
    return new DmaWrite(DmaAccess.address(from, at), DmaAccess.count(from, at));
  }

  @Override
  public int command() {
    return Command.DMA_WRITE;
  }

  /** Bytes of the fields, without data. */
  @Override
  public int length() {
    return DmaAccess.SIZE;
  }

  /** Writes the fields; the data is the caller's. */
  @Override
  public void encode(MemorySegment to, long at) {
    DmaAccess.encode(to, at, address, count);
  }
}
