// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Waits for a descriptor to have something to read: {@code struct pollfd}. For one thread. */
final class PollIn {
  private static final int EVENTS = 4;
  private static final int HAPPENED = 6;

  private final Descriptor descriptor;
  private final MemorySegment poll;

  /** For as long as {@code arena} is open. */
  PollIn(Descriptor descriptor, Arena arena) {
    this.descriptor = descriptor;
    poll = arena.allocate(8, 4);
    poll.set(ValueLayout.JAVA_INT, 0, descriptor.number());
  }

  /**
   * Waits until there is something to read, or the end of it.
   *
   * @param deadline of {@link System#nanoTime}; parts of a millisecond count as one
   * @return whether there is; false if the time was over first
   */
  boolean until(long deadline) {
    while (true) {
      long left = Math.max(0, deadline - System.nanoTime());
      int millis = (int) Math.min(Integer.MAX_VALUE, (left + 999_999) / 1_000_000);
      if (happened(Constants.POLLIN, millis) != 0) {
        return true;
      }
      if (deadline - System.nanoTime() <= 0) {
        return false;
      }
    }
  }

  /** Whether the other end is closed. Does not wait. */
  boolean hungUp() {
    return (happened(0, 0) & Constants.POLLHUP) != 0;
  }

  private int happened(int events, int millis) {
    poll.set(ValueLayout.JAVA_SHORT, EVENTS, (short) events);
    int ready = descriptor.calls().poll(poll, 1, millis);
    if (ready == -ErrnoNames.EINTR) {
      return 0;
    }
    SystemCallException.check(ready, "poll of " + descriptor.name());
    return ready == 0 ? 0 : poll.get(ValueLayout.JAVA_SHORT, HAPPENED);
  }
}
