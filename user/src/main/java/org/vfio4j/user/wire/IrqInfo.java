// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * GET_IRQ_INFO: what a kind of interrupt can do. Command and reply have the same form.
 *
 * <pre>
 *  0               4               8              12              16
 *  +---------------+---------------+---------------+---------------+
 *  |     argsz     |     flags     |     index     |     count     |
 *  +---------------+---------------+---------------+---------------+
 *  flags: bit 0 eventfd, 1 maskable, 2 masks itself when it is triggered, 3 set up as a whole
 * </pre>
 *
 * @param argsz in a command bytes at most of the reply's payload, in a reply bytes that it needs
 * @param flags as drawn
 * @param index of the kind
 * @param count how many interrupts of this kind
 */
public record IrqInfo(int argsz, int flags, int index, int count) implements Message {
  public static final int SIZE = 16;

  /** Reads it; in a command only {@code argsz} and {@code index} are looked at. */
  public static IrqInfo parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.GET_IRQ_INFO, from, at, size, SIZE);
    return new IrqInfo(
        argsz, Fields.get32(from, at + 4), Fields.get32(from, at + 8), Fields.get32(from, at + 12));
  }

  @Override
  public int command() {
    return Command.GET_IRQ_INFO;
  }

  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
    Fields.put32(to, at + 8, index);
    Fields.put32(to, at + 12, count);
  }
}
