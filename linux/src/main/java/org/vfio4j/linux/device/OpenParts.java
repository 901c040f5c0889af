// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What an object has open, by what each part is: closed in reverse order, all of them even if some
 * fail. A part that closes by itself first {@link #forget}s itself. Thread-safe.
 */
final class OpenParts {
  private final String owner;
  private final Map<Object, Runnable> open = new LinkedHashMap<>();
  private boolean closed;

  OpenParts(String owner) {
    this.owner = owner;
  }

  /**
   * Adds a part.
   *
   * @throws IllegalStateException if the owner is closed; the part was closed then
   */
  <T> T add(T part, Runnable close) {
    synchronized (this) {
      if (!closed) {
        open.put(part, close);
        return part;
      }
    }
    close.run();
    throw new IllegalStateException(owner + " is closed");
  }

  /** Takes a part out, which is closed. */
  synchronized void forget(Object part) {
    open.remove(part);
  }

  /**
   * Refuses what cannot be done any more.
   *
   * @throws IllegalStateException if the owner is closed
   */
  synchronized void check() {
    if (closed) {
      throw new IllegalStateException(owner + " is closed");
    }
  }

  /** Marks the owner closed; true for the first who asks. */
  synchronized boolean end() {
    boolean first = !closed;
    closed = true;
    return first;
  }

  /** Closes all parts, the youngest first; throws what the first failure threw. */
  void close() {
    List<Runnable> parts;
    synchronized (this) {
      closed = true;
      parts = new ArrayList<>(open.values()).reversed();
      open.clear();
    }
    inOrder(parts);
  }

  /** Takes all steps, also after one failed; throws the first failure with the others in it. */
  static void inOrder(List<Runnable> steps) {
    RuntimeException failure = null;
    for (Runnable step : steps) {
      try {
        step.run();
      } catch (RuntimeException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
