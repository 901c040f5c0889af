// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import org.vfio4j.error.Errno;

/**
 * A message that is refused: the other side gets the errno, the log gets the sentence. It carries
 * no stack trace, since a hostile client can cause as many as it likes.
 */
public final class MessageException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Errno errno;

  /** A message that does not follow the protocol: EINVAL. */
  public MessageException(String message) {
    this(Errno.EINVAL, message);
  }

  /**
   * A message that cannot be served.
   *
   * @param errno what the reply carries
   * @param message what is wrong, with both values
   */
  public MessageException(Errno errno, String message) {
    super(message, null, false, false);
    this.errno = errno;
  }

  /** What the reply carries. */
  public Errno errno() {
    return errno;
  }
}
