// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Whether a descriptor is ready for something, now or soon: {@code struct pollfd}. */
final class Poll {
  private static final int EVENTS = 4;
  private static final int HAPPENED = 6;

  private final Descriptor descriptor;
  private final MemorySegment poll;

  /**
   * For as long as {@code arena} is open.
   *
   * @param events {@link Constants#POLLIN} or {@link Constants#POLLOUT}
   */
  Poll(Descriptor descriptor, Arena arena, int events) {
    this.descriptor = descriptor;
    poll = arena.allocate(8, 4);
    poll.set(ValueLayout.JAVA_SHORT, EVENTS, (short) events);
  }

  /** Whether it is ready, or will never be. Does not wait. For any number of threads. */
  boolean now() {
    return within(0);
  }

  /**
   * Waits until it is ready, or will never be.
   *
   * @param deadline of {@link System#nanoTime}; parts of a millisecond count as one
   * @return whether it is; false if the time was over first
   */
  boolean until(long deadline) {
    while (true) {
      long left = Math.max(0, deadline - System.nanoTime());
      if (within((int) Math.min(Integer.MAX_VALUE, (left + 999_999) / 1_000_000))) {
        return true;
      }
      if (deadline - System.nanoTime() <= 0) {
        return false;
      }
    }
  }

  /** Whether the other end is closed. Does not wait. For one thread. */
  boolean hungUp() {
    return within(0) && (poll.get(ValueLayout.JAVA_SHORT, HAPPENED) & Constants.POLLHUP) != 0;
  }

  private boolean within(int millis) {
    int ready;
    try (Descriptor.Use use = descriptor.use()) {
      poll.set(ValueLayout.JAVA_INT, 0, use.number());
      ready = descriptor.calls().poll(poll, 1, millis);
    }
    if (ready == -ErrnoNames.EINTR) {
      return false;
    }
    if (ready < 0) {
      throw new SystemCallException("poll of " + descriptor.name(), -ready);
    }
    return ready > 0;
  }
}
