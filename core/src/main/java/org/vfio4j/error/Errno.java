// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

import java.util.Arrays;
import java.util.Optional;

/** The errno values that VFIO answers with, numbered as on Linux x86 and arm64. */
public enum Errno {
  EPERM(1),
  ENOENT(2),
  EINTR(4),
  EIO(5),
  ENXIO(6),
  E2BIG(7),
  EBADF(9),
  EAGAIN(11),
  ENOMEM(12),
  EACCES(13),
  EFAULT(14),
  EBUSY(16),
  EEXIST(17),
  ENODEV(19),
  ENOTDIR(20),
  EISDIR(21),
  EINVAL(22),
  ENFILE(23),
  EMFILE(24),
  ENOTTY(25),
  ENOSPC(28),
  ESPIPE(29),
  EROFS(30),
  ERANGE(34),
  ENAMETOOLONG(36),
  ENOSYS(38),
  EOVERFLOW(75),
  EBADFD(77),
  EMSGSIZE(90),
  EOPNOTSUPP(95),
  EADDRINUSE(98),
  ETIMEDOUT(110);

  private final int number;

  Errno(int number) {
    this.number = number;
  }

  /** The errno of a number, positive; empty for one that VFIO does not answer with. */
  public static Optional<Errno> of(int number) {
    return Arrays.stream(values()).filter(e -> e.number == number).findFirst();
  }

  /** The number the kernel returns, positive. */
  public int number() {
    return number;
  }
}
