// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What is known of an open file, as far as mapping it goes.
 *
 * @param device of the file system, its major number in the upper half
 * @param inode within the file system; with {@code device} it names the file while it exists
 * @param length bytes, now
 * @param writable whether the descriptor may write
 * @param lasting whether memory mapped from it stays there: it is sealed against shrinking ({@code
 *     F_SEAL_SHRINK}) and its pages cannot run out. An access to other mapped memory may end in
 *     SIGBUS.
 */
public record FileStatus(long device, long inode, long length, boolean writable, boolean lasting) {
  private static final int STATX_SIZE = 256;
  private static final int STATX_INODE = 0x20;
  private static final int STATX_LENGTH = 0x28;
  private static final int STATX_DEVICE = 0x88;
  private static final int STATFS_SIZE = 120;

  /**
   * Asks the kernel.
   *
   * @throws SystemCallException EBADF
   */
  public static FileStatus of(Descriptor file) {
    SystemCalls calls = file.calls();
    int fd = file.number();
    // Before the length: once it is sealed, the length that is read next is a promise.
    int seals = calls.fcntl(fd, Constants.F_GET_SEALS, 0);
    boolean sealed = seals >= 0 && (seals & Constants.F_SEAL_SHRINK) != 0;
    int flags = SystemCallException.check(calls.fcntl(fd, Constants.F_GETFL, 0), "fcntl " + file);
    int mode = flags & Constants.O_ACCMODE;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment status = arena.allocate(STATX_SIZE, Long.BYTES);
      int result =
          calls.statx(
              fd, arena.allocate(1), Constants.AT_EMPTY_PATH, Constants.STATX_BASIC_STATS, status);
      SystemCallException.check(result, "statx of " + file);
      return new FileStatus(
          status.get(ValueLayout.JAVA_LONG, STATX_DEVICE),
          status.get(ValueLayout.JAVA_LONG, STATX_INODE),
          status.get(ValueLayout.JAVA_LONG, STATX_LENGTH),
          mode == Constants.O_RDWR || mode == Constants.O_WRONLY,
          sealed && !huge(file, arena));
    }
  }

  /** Huge pages are found when they are touched first, or not: then that is a SIGBUS. */
  private static boolean huge(Descriptor file, Arena arena) {
    MemorySegment status = arena.allocate(STATFS_SIZE, Long.BYTES);
    int result = file.calls().fstatfs(file.number(), status);
    return result < 0 || status.get(ValueLayout.JAVA_LONG, 0) == Constants.HUGETLBFS_MAGIC;
  }
}
