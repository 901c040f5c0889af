// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

/**
 * What one writer has made of one place, change by change, so that a reader can tell which values
 * were there at some moment of his access. The writer announces a change, makes it, and says that
 * it is done; a reader asks {@link #done} before his access and {@link #check} after it.
 */
final class History {
  private final int[] values;
  private volatile int begun;
  private volatile int done;

  /** A place that holds {@code first}, and will be changed at most {@code changes} times. */
  History(int first, int changes) {
    values = new int[changes + 1];
    values[0] = first;
  }

  /** Makes one change; only one thread may. */
  void change(int value, Runnable change) {
    int next = done + 1;
    values[next] = value;
    begun = next;
    change.run();
    done = next;
  }

  int now() {
    return values[done];
  }

  int done() {
    return done;
  }

  /** Fails unless {@code seen} was there between {@code from} and now. */
  void check(int from, int seen) {
    int to = begun;
    for (int i = from; i <= to; i++) {
      if (values[i] == seen) {
        return;
      }
    }
    throw new AssertionError(
        "read %d, which was not there from change %d (%d) to %d (%d)"
            .formatted(seen, from, values[from], to, values[to]));
  }
}
