// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.posix;

import java.lang.foreign.Arena;

/** Files that are memory only, to be shared by handing their descriptor on. */
public final class Memfd {
  private Memfd() {}

  /**
   * A new file of {@code length} zero bytes.
   *
   * @param name shown in /proc only
   * @throws SystemCallException EMFILE, ENOMEM
   */
  public static Descriptor create(SystemCalls calls, String name, long length) {
    try (Arena arena = Arena.ofConfined()) {
      int fd = calls.memfdCreate(arena.allocateFrom(name), Constants.MFD_CLOEXEC);
      Descriptor file =
          new Descriptor(calls, SystemCallException.check(fd, "memfd_create"), "memfd " + name);
      int result = calls.ftruncate(fd, length);
      if (result < 0) {
        file.close();
        throw new SystemCallException("ftruncate to 0x%x bytes".formatted(length), -result);
      }
      return file;
    }
  }
}
