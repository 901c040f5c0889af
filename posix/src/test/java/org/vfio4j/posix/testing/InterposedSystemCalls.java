// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import org.vfio4j.posix.SystemCalls;

/**
 * System calls of which one is held up once, while another thread does something: what that thread
 * does falls between the moment the caller chose a descriptor and the moment the kernel sees it.
 */
public final class InterposedSystemCalls extends WatchedSystemCalls {
  private String awaited = "";
  private Runnable meanwhile = () -> {};

  /** In front of those that do the work. */
  public InterposedSystemCalls(SystemCalls calls) {
    super(calls);
  }

  /**
   * Holds the next call of a name up until the action is done.
   *
   * @param call the method's name in {@link SystemCalls}
   * @param action what another thread does meanwhile
   */
  public synchronized void beforeNext(String call, Runnable action) {
    awaited = call;
    meanwhile = action;
  }

  /** Whether the awaited call has come. */
  public synchronized boolean done() {
    return awaited.isEmpty();
  }

  @Override
  protected int before(String call, int request) {
    Runnable action;
    synchronized (this) {
      if (!call.equals(awaited)) {
        return 0;
      }
      awaited = "";
      action = meanwhile;
    }
    Thread other = Thread.ofPlatform().name("between").start(action);
    try {
      other.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
    return 0;
  }
}
