// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;

/**
 * Lets one who takes memory away wait for the accesses that are inside, and only for those.
 *
 * <p>There is a fixed number of counters, one cache line each. An access takes one that is even and
 * makes it odd by compare-and-set; when it leaves it makes it even again. So a counter belongs to
 * one access at a time, whichever thread runs it, and no thread needs to register. {@link #await}
 * looks at each counter once: an odd one belongs to an access that was inside, and when its value
 * has changed that access has left. Accesses that came later have found the memory gone, so nobody
 * waits for them, and a stream of accesses cannot hold an unmap up.
 *
 * <p>Why that suffices: the memory is taken out of the table before the counters are looked at,
 * with a full fence between; the access makes its counter odd before it looks into the table, and
 * both are volatile accesses ({@link org.vfio4j.iommu.PageTable#find}), which all threads see in
 * one order. So either the unmapper sees the odd counter, or the access sees the table without the
 * memory. Who looks elsewhere than into a page table needs a full fence before.
 *
 * <p>An access is short and never nested; it must not block on anything but memory.
 */
final class Guard {
  private static final VarHandle COUNTER = MethodHandles.arrayElementVarHandle(long[].class);
  private static final int COUNTERS = 32;

  /** Longs between two counters: two cache lines, since processors fetch lines in pairs. */
  private static final int STRIDE = 16;

  private static final int LENGTH = COUNTERS * STRIDE;
  private static final int MASK = LENGTH - 1;
  private static final int SPINS = 200;
  private static final long PARK_NANOS = 20_000;

  private final long[] counters = new long[LENGTH + STRIDE];

  /** Goes inside: a volatile write. Returns what {@link #leave} needs. */
  int enter() {
    int at = ((int) Thread.currentThread().threadId() * STRIDE) & MASK;
    while (true) {
      long seen = (long) COUNTER.getOpaque(counters, at);
      if ((seen & 1) == 0 && COUNTER.compareAndSet(counters, at, seen, seen + 1)) {
        return at;
      }
      at = (at + STRIDE) & MASK;
      if (at == 0) {
        Thread.onSpinWait();
      }
    }
  }

  /** Leaves again. */
  void leave(int at) {
    COUNTER.setRelease(counters, at, (long) COUNTER.getOpaque(counters, at) + 1);
  }

  /**
   * Waits until all accesses have left that were inside when this was called.
   *
   * @param nanos how long at most
   * @return whether they have; if not, some access is still inside and memory must stay
   */
  boolean await(long nanos) {
    VarHandle.fullFence();
    long deadline = System.nanoTime() + nanos;
    for (int at = 0; at < LENGTH; at += STRIDE) {
      long seen = (long) COUNTER.getVolatile(counters, at);
      if ((seen & 1) != 0 && !awaitChange(at, seen, deadline)) {
        return false;
      }
    }
    return true;
  }

  private boolean awaitChange(int at, long seen, long deadline) {
    for (int spins = 0; (long) COUNTER.getAcquire(counters, at) == seen; spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else if (deadline - System.nanoTime() <= 0) {
        return false;
      } else {
        LockSupport.parkNanos(PARK_NANOS);
      }
    }
    return true;
  }
}
