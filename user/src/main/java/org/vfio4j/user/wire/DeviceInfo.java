// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * GET_INFO: what kind of device it is. Command and reply have the same form; in the command all but
 * {@code argsz} is zero.
 *
 * <pre>
 *  0               4               8              12              16
 *  +---------------+---------------+---------------+---------------+
 *  |     argsz     |     flags     |    regions    |     irqs      |
 *  +---------------+---------------+---------------+---------------+
 *  flags: bit 0 it can be reset, bit 1 it is a PCI device
 * </pre>
 *
 * @param argsz in a command bytes at most of the reply's payload, in a reply bytes that it needs
 * @param flags as drawn
 * @param regions how many; indexes that stand for none are counted
 * @param irqs how many kinds of interrupt
 */
public record DeviceInfo(int argsz, int flags, int regions, int irqs) implements Message {
  public static final int SIZE = 16;

  /** Reads it; in a command only {@code argsz} is looked at, as in the kernel. */
  public static DeviceInfo parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.GET_INFO, from, at, size, SIZE);
    return new DeviceInfo(
        argsz, Fields.get32(from, at + 4), Fields.get32(from, at + 8), Fields.get32(from, at + 12));
  }

  @Override
  public int command() {
    return Command.GET_INFO;
  }

  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
    Fields.put32(to, at + 8, regions);
    Fields.put32(to, at + 12, irqs);
  }
}
