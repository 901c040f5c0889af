// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.user.wire.Command;

/** A server refused a command. */
public final class ErrorReplyException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int command;
  private final int errno;

  ErrorReplyException(int command, int errno) {
    super("%s: %s".formatted(Command.name(command), ErrnoNames.describe(errno)));
    this.command = command;
    this.errno = errno;
  }

  /** What was refused, one of {@link Command}. */
  public int command() {
    return command;
  }

  /** The number that the server answered; 0 if it gave none. */
  public int errno() {
    return errno;
  }
}
