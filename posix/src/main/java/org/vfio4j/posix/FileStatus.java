// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What is known of an open file, as far as mapping it goes.
 *
 * @param device of the file system, its minor number in the upper half
 * @param inode within the file system; with {@code device} it names the file while it exists
 * @param length bytes, now
 * @param writable whether the descriptor may write
 * @param lasting whether memory mapped from it stays there: it is sealed against shrinking ({@code
 *     F_SEAL_SHRINK}) and its pages cannot run out. An access to other mapped memory may end in
 *     SIGBUS.
 */
public record FileStatus(long device, long inode, long length, boolean writable, boolean lasting) {
  /** Bytes of the buffer that {@link #of(Descriptor, MemorySegment)} needs. */
  public static final int BUFFER_SIZE = 256;

  private static final MemorySegment NO_PATH = Arena.global().allocate(1);
  private static final int STATX_BLOCK_SIZE = 4;
  private static final int STATX_INODE = 0x20;
  private static final int STATX_LENGTH = 0x28;
  private static final int STATX_DEVICE = 0x88;
  private static final int PAGE = 4096;

  /**
   * Asks the kernel.
   *
   * @throws SystemCallException EBADF
   */
  public static FileStatus of(Descriptor file) {
    try (Arena arena = Arena.ofConfined()) {
      return of(file, arena.allocate(BUFFER_SIZE, Long.BYTES));
    }
  }

  /**
   * Asks the kernel, for who asks often and has a buffer.
   *
   * @param buffer {@value #BUFFER_SIZE} bytes off-heap, aligned to 8; nobody else's meanwhile
   * @throws SystemCallException EBADF
   */
  public static FileStatus of(Descriptor file, MemorySegment buffer) {
    try (Descriptor.Use use = file.use()) {
      return of(file, use.number(), buffer);
    }
  }

  private static FileStatus of(Descriptor file, int fd, MemorySegment buffer) {
    SystemCalls calls = file.calls();
    // Before the length: once it is sealed, the length that is read next is a promise.
    int seals = calls.fcntl(fd, Constants.F_GET_SEALS, 0);
    boolean sealed = seals >= 0 && (seals & Constants.F_SEAL_SHRINK) != 0;
    int flags = calls.fcntl(fd, Constants.F_GETFL, 0);
    if (flags < 0) {
      throw new SystemCallException("fcntl " + file, -flags);
    }
    int mode = flags & Constants.O_ACCMODE;
    int result =
        calls.statx(fd, NO_PATH, Constants.AT_EMPTY_PATH, Constants.STATX_BASIC_STATS, buffer);
    if (result < 0) {
      throw new SystemCallException("statx of " + file, -result);
    }
    return new FileStatus(
        buffer.get(ValueLayout.JAVA_LONG, STATX_DEVICE),
        buffer.get(ValueLayout.JAVA_LONG, STATX_INODE),
        buffer.get(ValueLayout.JAVA_LONG, STATX_LENGTH),
        mode == Constants.O_RDWR || mode == Constants.O_WRONLY,
        sealed && !huge(file, fd, buffer));
  }

  /**
   * Huge pages are found when they are touched first, or not: then that is a SIGBUS. Their file
   * system's blocks are as large as they are ({@code hugetlbfs_fill_super}), so that files in small
   * blocks need no further call.
   */
  private static boolean huge(Descriptor file, int fd, MemorySegment buffer) {
    if (buffer.get(ValueLayout.JAVA_INT, STATX_BLOCK_SIZE) <= PAGE) {
      return false;
    }
    int result = file.calls().fstatfs(fd, buffer);
    return result < 0 || buffer.get(ValueLayout.JAVA_LONG, 0) == Constants.HUGETLBFS_MAGIC;
  }
}
