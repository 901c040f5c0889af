// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

/**
 * A system call failed. Carries the number, since the kernel has more of them than {@code
 * org.vfio4j.error.Errno} names.
 */
public final class SystemCallException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String call;
  private final int errno;

  /**
   * A failure.
   *
   * @param call the call's name and what it was about, as in {@code open /dev/vfio/12}
   * @param errno the error number, positive
   */
  public SystemCallException(String call, int errno) {
    super("%s: %s".formatted(call, ErrnoNames.describe(errno)));
    this.call = call;
    this.errno = errno;
  }

  /** The call and what it was about. */
  public String call() {
    return call;
  }

  /** The error number, positive. */
  public int errno() {
    return errno;
  }

  /** Passes a result on; throws if it is {@code -errno}. */
  public static int check(int result, String call) {
    if (result < 0) {
      throw new SystemCallException(call, -result);
    }
    return result;
  }

  /** Passes a result on; throws if it is {@code -errno}. */
  public static long check(long result, String call) {
    if (result < 0) {
      throw new SystemCallException(call, (int) -result);
    }
    return result;
  }
}
