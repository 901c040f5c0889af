// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The lock of a {@link Machine}: it covers which devices, groups, containers and descriptors there
 * are. All processes of the machine take it, so nothing is done under it that may take long: no
 * memory is pinned or unpinned, no hardware attached or detached, no device opened, reset or
 * closed, no driver called and no file read. A call that does such a thing marks the group and the
 * container that it concerns as busy, leaves the lock, and says with the lock held again what came
 * of it; who wants the same group or container waits for that, and nobody else.
 *
 * <p>A thread may hold it several times.
 */
public final class MachineLock {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition settled = lock.newCondition();
  private final Held held = new Held();

  /** How often something has become busy no more. */
  private long settlements;

  MachineLock() {}

  /** That a thread holds the lock; closing it leaves the lock once. */
  public final class Held implements AutoCloseable {
    private Held() {}

    @Override
    public void close() {
      lock.unlock();
    }
  }

  /** Takes the lock. */
  public Held hold() {
    lock.lock();
    return held;
  }

  /** Waits, with the lock left, until something that was busy may be so no more. */
  void awaitSettled() {
    long before = settlements;
    while (settlements == before) {
      settled.awaitUninterruptibly();
    }
  }

  /** Wakes who waits: something is busy no more. */
  void settled() {
    settlements++;
    settled.signalAll();
  }
}
