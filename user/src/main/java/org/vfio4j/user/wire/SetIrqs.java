// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/**
 * SET_IRQS: what happens to a range of interrupts. The eventfds of {@link #DATA_EVENTFD} come
 * beside the message, none of them takes those that were set away. The reply has no payload.
 *
 * <pre>
 *  0               4               8              12              16
 *  +---------------+---------------+---------------+---------------+
 *  |     argsz     |     flags     |     index     |     start     |
 *  +---------------+---------------+---------------+---------------+
 *  |     count     |  a byte for each, with DATA_BOOL
 *  +---------------+ 20
 *  flags: bits 0-2 data (none, bool, eventfd), bits 3-5 action (mask, unmask, trigger)
 * </pre>
 *
 * @param argsz bytes of this structure with its data
 * @param flags one of each kind
 * @param index of the kind of interrupt
 * @param start the first of the range
 * @param count how many; 0 with {@link #DATA_NONE} and {@link #TRIGGER} switches all of them off
 * @param chosen with {@link #DATA_BOOL}: which of the range, counted from its first
 */
public record SetIrqs(int argsz, int flags, int index, int start, int count, BitSet chosen)
    implements Message {
  /** Bytes without data. */
  public static final int SIZE = 20;

  public static final int DATA_NONE = 1;
  public static final int DATA_BOOL = 2;
  public static final int DATA_EVENTFD = 4;
  public static final int MASK = 8;
  public static final int UNMASK = 16;
  public static final int TRIGGER = 32;

  private static final int DATA = DATA_NONE | DATA_BOOL | DATA_EVENTFD;
  private static final int ACTION = MASK | UNMASK | TRIGGER;

  /** Copies the set. */
  public SetIrqs {
    chosen = (BitSet) chosen.clone();
  }

  /** Without flags for each interrupt. */
  public static SetIrqs of(int flags, int index, int start, int count) {
    return new SetIrqs(SIZE, flags, index, start, count, new BitSet());
  }

  /** With a flag for each interrupt. */
  public static SetIrqs of(int flags, int index, int start, int count, BitSet chosen) {
    return new SetIrqs(SIZE + count, flags, index, start, count, chosen);
  }

  @Override
  public BitSet chosen() {
    return (BitSet) chosen.clone();
  }

  /** Which of {@link #DATA_NONE}, {@link #DATA_BOOL} and {@link #DATA_EVENTFD}. */
  public int data() {
    return flags & DATA;
  }

  /** Which of {@link #MASK}, {@link #UNMASK} and {@link #TRIGGER}. */
  public int action() {
    return flags & ACTION;
  }

  /**
   * Reads it, and holds it to what {@code vfio_set_irqs_validate_and_prepare} asks: one kind of
   * data, one action, no flag besides, as many bytes as there are interrupts.
   */
  public static SetIrqs parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.SET_IRQS, from, at, size, SIZE);
    int flags = Fields.get32(from, at + 4);
    int count = Fields.get32(from, at + 16);
    if ((flags & ~(DATA | ACTION)) != 0
        || Integer.bitCount(flags & DATA) != 1
        || Integer.bitCount(flags & ACTION) != 1) {
      throw new MessageException("no such SET_IRQS: flags=0x%x".formatted(flags));
    }
    BitSet chosen = new BitSet();
    if ((flags & DATA_BOOL) != 0) {
      long booleans = Math.min(size, Integer.toUnsignedLong(argsz)) - SIZE;
      if (booleans < Integer.toUnsignedLong(count)) {
        throw new MessageException(
            "SET_IRQS with too few booleans: count=%d, bytes=%d"
                .formatted(Integer.toUnsignedLong(count), booleans));
      }
      for (int i = 0; i < count; i++) {
        chosen.set(i, from.get(ValueLayout.JAVA_BYTE, at + SIZE + i) != 0);
      }
    }
    return new SetIrqs(
        argsz, flags, Fields.get32(from, at + 8), Fields.get32(from, at + 12), count, chosen);
  }

  @Override
  public int command() {
    return Command.SET_IRQS;
  }

  @Override
  public int length() {
    return SIZE + (data() == DATA_BOOL ? count : 0);
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
    Fields.put32(to, at + 8, index);
    Fields.put32(to, at + 12, start);
    Fields.put32(to, at + 16, count);
    for (int i = SIZE; i < length(); i++) {
      byte value = (byte) (chosen.get(i - SIZE) ? 1 : 0);
      to.set(ValueLayout.JAVA_BYTE, at + i, value);
    }
  }
}
