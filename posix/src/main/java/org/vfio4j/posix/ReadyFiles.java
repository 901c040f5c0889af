// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Waits for the first of several descriptors, by {@code poll(2)}. */
public final class ReadyFiles {
  private static final int SIZE = 8;
  private static final int EVENTS = 4;
  private static final int HAPPENED = 6;

  private ReadyFiles() {}

  /**
   * Waits until one or more can be read, or never will be. A descriptor that is closed meanwhile
   * ends no wait: have one among them that can be signalled.
   *
   * @return those; empty if a signal came in between, or one of them is closed
   */
  public static List<Descriptor> await(SystemCalls calls, List<Descriptor> files) {
    try (Uses uses = Uses.of(files);
        Arena arena = Arena.ofConfined()) {
      int[] numbers = uses.numbers();
      MemorySegment polled = arena.allocate((long) SIZE * numbers.length, Integer.BYTES);
      for (int n = 0; n < numbers.length; n++) {
        polled.set(ValueLayout.JAVA_INT, (long) n * SIZE, numbers[n]);
        polled.set(ValueLayout.JAVA_SHORT, (long) n * SIZE + EVENTS, (short) Constants.POLLIN);
      }
      int result = calls.poll(polled, numbers.length, -1);
      if (result == -ErrnoNames.EINTR) {
        return List.of();
      }
      SystemCallException.check(result, "poll");
      List<Descriptor> ready = new ArrayList<>();
      for (int n = 0; n < numbers.length; n++) {
        if (polled.get(ValueLayout.JAVA_SHORT, (long) n * SIZE + HAPPENED) != 0) {
          ready.add(files.get(n));
        }
      }
      return ready;
    } catch (SystemCallException closed) {
      if (closed.errno() == ErrnoNames.EBADF) {
        return List.of();
      }
      throw closed;
    }
  }
}
