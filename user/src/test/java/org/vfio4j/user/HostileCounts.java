// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.concurrent.atomic.AtomicLongArray;
import org.vfio4j.user.wire.Command;

/** What hostile clients have sent, and what they were answered: by command and errno. */
final class HostileCounts {
  private static final int COMMANDS = 32;
  private static final int ERRNOS = 256;

  private final AtomicLongArray replies = new AtomicLongArray(COMMANDS * ERRNOS);
  private final AtomicLongArray sent = new AtomicLongArray(COMMANDS);

  /** Commands that there are not share the last row. */
  private static int row(int command) {
    return Math.min(command, COMMANDS - 1);
  }

  void sent(int command) {
    sent.incrementAndGet(row(command));
  }

  /** A reply; {@code errno} is 0 if it says that the command was done. */
  void reply(int command, int errno) {
    replies.incrementAndGet(row(command) * ERRNOS + (errno & 0xff));
  }

  /** Messages sent, also those that nobody could answer. */
  long sent() {
    long sum = 0;
    for (int command = 0; command < COMMANDS; command++) {
      sum += sent.get(command);
    }
    return sum;
  }

  /** Replies to a command. */
  long answered(int command) {
    long sum = 0;
    for (int errno = 0; errno < ERRNOS; errno++) {
      sum += answered(command, errno);
    }
    return sum;
  }

  /** Replies to a command with an errno, or, with 0, that it was done. */
  long answered(int command, int errno) {
    return replies.get(command * ERRNOS + errno);
  }

  /** Replies to commands that there are: their messages have passed all checks of the header. */
  long handled() {
    long sum = 0;
    for (int command = 0; command < COMMANDS; command++) {
      boolean known = !Command.name(command).startsWith("command ");
      sum += known ? answered(command) : 0;
    }
    return sum;
  }

  /** Three figures in a sentence, then a line for each command. */
  String report() {
    StringBuilder lines = new StringBuilder();
    long all = 0;
    for (int command = 0; command < COMMANDS; command++) {
      long answered = answered(command);
      all += answered;
      if (answered > 0) {
        lines.append("%n  %-20s".formatted(Command.name(command)));
        for (int errno = 0; errno < ERRNOS; errno++) {
          long count = answered(command, errno);
          if (count > 0) {
            lines.append(errno == 0 ? " done" : " errno " + errno).append("=" + count);
          }
        }
      }
    }
    return "%,d messages sent, %,d answered, %,d of them by a handler (%d %% of those sent)"
            .formatted(sent(), all, handled(), 100 * handled() / Math.max(1, sent()))
        + lines;
  }
}
