// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.unwind;

import org.jspecify.annotations.Nullable;

/**
 * Something of several steps, each of which may be refused: what has been done so far, and the one
 * way out that takes it back in reverse. An attempt that is closed without having been {@link #keep
 * kept} leaves no trace.
 *
 * <pre>{@code
 * try (Attempt attempt = new Attempt()) {
 *   first();
 *   attempt.undo(() -> undoFirst());
 *   second();
 *   attempt.keep();
 * }
 * }</pre>
 */
public final class Attempt implements AutoCloseable {
  private record Step(Runnable undo, @Nullable Step before) {}

  private @Nullable Step last;

  /** A step is done; this takes it back. Cannot fail. */
  public void undo(Runnable step) {
    last = new Step(step, last);
  }

  /** All of it has succeeded: nothing is taken back. */
  public void keep() {
    last = null;
  }

  @Override
  public void close() {
    for (Step step = last; step != null; step = step.before) {
      step.undo.run();
    }
    last = null;
  }
}
