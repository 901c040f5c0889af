// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * REGION_READ: reads a region of the device. The reply has the same fields, and the data behind
 * them. For the layout see {@link RegionAccess}.
 *
 * @param offset bytes into the region
 * @param region its index
 * @param count bytes to transfer, at most the receiver's max_data_xfer_size
 */
public record RegionRead(long offset, int region, int count) implements Message {

  /** Reads the fields of a command. */
  public static RegionRead parse(MemorySegment from, long at, long size) {
    RegionAccess.check(Command.REGION_READ, from, at, size, false);
    return new RegionRead(
        RegionAccess.offset(from, at), RegionAccess.region(from, at), RegionAccess.count(from, at));
  }

  @Override
  public int command() {
    return Command.REGION_READ;
  }

  /** Bytes of the fields, without data. */
  @Override
  public int length() {
    return RegionAccess.SIZE;
  }

  /** Writes the fields; the data is the caller's. */
  @Override
  public void encode(MemorySegment to, long at) {
    RegionAccess.encode(to, at, offset, region, count);
  }
}
