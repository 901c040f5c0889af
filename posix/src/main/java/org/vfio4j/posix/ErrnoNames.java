// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

/** Names of error numbers and what they mean, for messages. */
public final class ErrnoNames {
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int EINTR = 4;
  public static final int EBADF = 9;
  public static final int EAGAIN = 11;
  public static final int ENOMEM = 12;
  public static final int EFAULT = 14;
  public static final int EEXIST = 17;
  public static final int EINVAL = 22;
  public static final int EPIPE = 32;
  public static final int ENOSYS = 38;
  public static final int EADDRINUSE = 98;
  public static final int ECONNRESET = 104;
  public static final int ECONNREFUSED = 111;

  private ErrnoNames() {}

  /** As in {@code EBUSY (device or resource busy)}. */
  public static String describe(int errno) {
    return switch (errno) {
      case EPERM -> "EPERM (not permitted)";
      case ENOENT -> "ENOENT (no such file)";
      case EINTR -> "EINTR (interrupted)";
      case 5 -> "EIO (input/output error)";
      case 6 -> "ENXIO (no such device or address)";
      case 7 -> "E2BIG (list too long)";
      case EBADF -> "EBADF (not an open descriptor)";
      case EAGAIN -> "EAGAIN (try again)";
      case ENOMEM -> "ENOMEM (not enough memory, or the limit is reached)";
      case 13 -> "EACCES (permission denied)";
      case EFAULT -> "EFAULT (bad address)";
      case 16 -> "EBUSY (device or resource busy)";
      case EEXIST -> "EEXIST (exists)";
      case 19 -> "ENODEV (no such device)";
      case 20 -> "ENOTDIR (not a directory)";
      case 21 -> "EISDIR (a directory)";
      case EINVAL -> "EINVAL (invalid argument)";
      case 23 -> "ENFILE (too many open files in the system)";
      case 24 -> "EMFILE (too many open files)";
      case 25 -> "ENOTTY (no such ioctl here)";
      case 28 -> "ENOSPC (no space left)";
      case EPIPE -> "EPIPE (the peer has closed)";
      case 34 -> "ERANGE (out of range)";
      case 36 -> "ENAMETOOLONG (name too long)";
      case ENOSYS -> "ENOSYS (no such system call)";
      case 75 -> "EOVERFLOW (value too large)";
      case 77 -> "EBADFD (descriptor in bad state)";
      case 90 -> "EMSGSIZE (message too long)";
      case 95 -> "EOPNOTSUPP (not supported)";
      case EADDRINUSE -> "EADDRINUSE (address in use)";
      case ECONNRESET -> "ECONNRESET (the peer has gone)";
      case 107 -> "ENOTCONN (not connected)";
      case 110 -> "ETIMEDOUT (timed out)";
      case ECONNREFUSED -> "ECONNREFUSED (nobody listens)";
      default -> "errno " + errno;
    };
  }
}
