// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/** A command that goes on, on a thread of its own. */
final class RunningCommand implements AutoCloseable {
  private static final long DEADLINE_NANOS = 20_000_000_000L;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final Thread thread;
  private volatile int status = -1;

  RunningCommand(Object... arguments) {
    List<String> words = new ArrayList<>();
    for (Object word : arguments) {
      words.add(word.toString());
    }
    thread =
        Thread.ofPlatform()
            .start(
                () ->
                    status =
                        Main.run(
                            new PrintStream(out, false, StandardCharsets.UTF_8),
                            new PrintStream(err, false, StandardCharsets.UTF_8),
                            words.toArray(String[]::new)));
  }

  String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  void await(String what) {
    until(what, () -> out().contains(what) || !thread.isAlive());
    assertThat(out()).as(err.toString(StandardCharsets.UTF_8)).contains(what);
  }

  /** Ends it as Ctrl-C would, but for the process. */
  @Override
  public void close() {
    thread.interrupt();
    until("the end of the command", () -> !thread.isAlive());
    assertThat(status).isZero();
  }

  static void until(String what, BooleanSupplier so) {
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while (!so.getAsBoolean()) {
      assertThat(System.nanoTime()).as("never: " + what).isLessThan(deadline);
      Thread.onSpinWait();
    }
  }
}
