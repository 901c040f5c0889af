// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/** The effective capabilities of the calling thread: in Linux each thread has its own. */
final class ThreadCapabilities {
  private static final int VERSION_3 = 0x20080522;
  private static final int HEADER = 8;
  private static final int WORD = 12;

  private final SystemCalls calls;

  ThreadCapabilities(SystemCalls calls) {
    this.calls = calls;
  }

  /** Whether the calling thread has it. */
  boolean has(int number) {
    try (Arena arena = Arena.ofConfined()) {
      return (get(arena).get(ValueLayout.JAVA_INT, word(number)) & 1 << number % 32) != 0;
    }
  }

  /** Takes it from the calling thread, or gives it back; the permitted set stays. */
  void set(int number, boolean on) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = get(arena);
      int effective = data.get(ValueLayout.JAVA_INT, word(number));
      int bit = 1 << number % 32;
      data.set(ValueLayout.JAVA_INT, word(number), on ? effective | bit : effective & ~bit);
      SystemCallException.check(calls.capset(header(arena), data), "capset");
    }
  }

  private static long word(int number) {
    return (long) number / 32 * WORD;
  }

  private MemorySegment get(Arena arena) {
    MemorySegment data = arena.allocate(2 * WORD, 4);
    SystemCallException.check(calls.capget(header(arena), data), "capget");
    return data;
  }

  private static MemorySegment header(Arena arena) {
    MemorySegment header = arena.allocate(HEADER, 4);
    header.set(ValueLayout.JAVA_INT, 0, VERSION_3);
    return header;
  }
}
