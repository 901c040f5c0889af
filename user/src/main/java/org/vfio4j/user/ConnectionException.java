// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

/**
 * A connection that cannot go on: the other side broke the protocol in a way that leaves no next
 * message, or did not answer. Carries no stack trace, as a hostile client can cause it at will.
 */
public final class ConnectionException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The sentence says what the other side did. */
  public ConnectionException(String message) {
    super(message, null, false, false);
  }
}
