// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Fields of a message: in the machine's byte order, at any alignment. */
final class Fields {
  private Fields() {}

  static int get16(MemorySegment from, long at) {
    return Short.toUnsignedInt(from.get(ValueLayout.JAVA_SHORT_UNALIGNED, at));
  }

  static int get32(MemorySegment from, long at) {
    return from.get(ValueLayout.JAVA_INT_UNALIGNED, at);
  }

  static long get64(MemorySegment from, long at) {
    return from.get(ValueLayout.JAVA_LONG_UNALIGNED, at);
  }

  static void put16(MemorySegment to, long at, int value) {
    to.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) value);
  }

  static void put32(MemorySegment to, long at, int value) {
    to.set(ValueLayout.JAVA_INT_UNALIGNED, at, value);
  }

  static void put64(MemorySegment to, long at, long value) {
    to.set(ValueLayout.JAVA_LONG_UNALIGNED, at, value);
  }

  /** Refuses a payload that is shorter than what has to be in it. */
  static void atLeast(int command, long size, long min) {
    if (size < min) {
      throw new MessageException(
          "%s is too short: payload=%d bytes, min=%d".formatted(Command.name(command), size, min));
    }
  }

  /** Refuses a payload that is not exactly as long as its fields say. */
  static void exactly(int command, long size, long expected) {
    if (size != expected) {
      throw new MessageException(
          "%s has another length than its fields say: payload=%d bytes, expected=%d"
              .formatted(Command.name(command), size, expected));
    }
  }

  /**
   * Reads the {@code argsz} that a payload begins with.
   *
   * @param size bytes of the payload; refused if it is shorter than its fixed part
   * @param min bytes of the fixed part, for which {@code argsz} must leave room in the reply
   */
  static int argsz(int command, MemorySegment from, long at, long size, int min) {
    atLeast(command, size, min);
    int argsz = get32(from, at);
    room(command, argsz, min);
    return argsz;
  }

  /** Refuses an {@code argsz} that leaves no room for the fixed part of the reply. */
  static void room(int command, int argsz, int min) {
    if (Integer.compareUnsigned(argsz, min) < 0) {
      throw new MessageException(
          "%s leaves no room for its reply: argsz=%d, min=%d"
              .formatted(Command.name(command), Integer.toUnsignedLong(argsz), min));
    }
  }
}
