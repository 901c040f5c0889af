// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;

/**
 * A connection that cannot go on: the other side broke the protocol in a way that leaves no next
 * message, or did not answer. Carries no stack trace, as a hostile client can cause it at will.
 */
public final class ConnectionException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String reason;

  /** The sentence says what the other side did. */
  public ConnectionException(String reason) {
    super(reason, null, false, false);
    this.reason = reason;
  }

  /** The other side is not to be reached any more. */
  static ConnectionException lost(SystemCallException e) {
    return new ConnectionException("lost: " + describe(e));
  }

  static String describe(SystemCallException e) {
    return "%s: %s".formatted(e.call(), ErrnoNames.describe(e.errno()));
  }

  /** What the other side did. */
  public String reason() {
    return reason;
  }
}
