// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;

/** Files that are memory only, to be shared by handing their descriptor on. */
public final class Memfd {
  private Memfd() {}

  /**
   * A new file of {@code length} zero bytes. Who has its descriptor may shrink it, under the feet
   * of all who have mapped it.
   *
   * @param name shown in /proc only
   * @throws SystemCallException EMFILE, ENOMEM
   */
  public static Descriptor create(SystemCalls calls, String name, long length) {
    return create(calls, name, length, 0);
  }

  /**
   * A new file of {@code length} zero bytes that nobody can shrink, as QEMU's memory: who maps it
   * may rely on it, and a vfio-user server of ours accesses it directly.
   *
   * @param name shown in /proc only
   * @throws SystemCallException EMFILE, ENOMEM
   */
  public static Descriptor sealed(SystemCalls calls, String name, long length) {
    Descriptor file = create(calls, name, length, Constants.MFD_ALLOW_SEALING);
    int result;
    try (Descriptor.Use use = file.use()) {
      result = calls.fcntl(use.number(), Constants.F_ADD_SEALS, Constants.F_SEAL_SHRINK);
    }
    if (result < 0) {
      file.close();
      throw new SystemCallException("fcntl F_ADD_SEALS of " + name, -result);
    }
    return file;
  }

  private static Descriptor create(SystemCalls calls, String name, long length, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      int fd = calls.memfdCreate(arena.allocateFrom(name), Constants.MFD_CLOEXEC | flags);
      Descriptor file =
          new Descriptor(calls, SystemCallException.check(fd, "memfd_create"), "memfd " + name);
      int result;
      try (Descriptor.Use use = file.use()) {
        result = calls.ftruncate(use.number(), length);
      }
      if (result < 0) {
        file.close();
        throw new SystemCallException("ftruncate to 0x%x bytes".formatted(length), -result);
      }
      return file;
    }
  }
}
