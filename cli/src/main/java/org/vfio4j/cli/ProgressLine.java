// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.PrintStream;
import java.util.function.LongSupplier;
import org.vfio4j.assign.Progress;

/**
 * Tells on standard error how far a check is, where that is a terminal and it takes longer than a
 * second; the line is wiped when the check ends.
 */
final class ProgressLine implements Progress, AutoCloseable {
  /** Set by the launcher where standard error is a terminal. */
  private static final String TERMINAL = "vfio4j.terminal.err";

  private static final long FIRST_NANOS = 1_000_000_000;
  private static final long EVERY_NANOS = 200_000_000;

  private final PrintStream err;
  private final boolean shown;
  private final LongSupplier nanos;
  private long next;
  private int length;

  /**
   * One that tells nothing unless {@code shown}.
   *
   * @param nanos a clock, in nanoseconds
   */
  ProgressLine(PrintStream err, boolean shown, LongSupplier nanos) {
    this.err = err;
    this.shown = shown;
    this.nanos = nanos;
    this.next = nanos.getAsLong() + FIRST_NANOS;
  }

  static ProgressLine of(Console console) {
    return new ProgressLine(console.err().raw(), Boolean.getBoolean(TERMINAL), System::nanoTime);
  }

  @Override
  public void at(String what, int done, int of) {
    if (!shown || nanos.getAsLong() - next < 0) {
      return;
    }
    next = nanos.getAsLong() + EVERY_NANOS;
    print("%s: %d of %d VMs".formatted(what, done, of));
  }

  private void print(String text) {
    err.print("\r" + Text.pad(text, length));
    err.flush();
    length = Text.width(text);
  }

  @Override
  public void close() {
    if (length > 0) {
      print("");
      err.print("\r");
      err.flush();
    }
  }
}
