// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Keeps a path to one process: {@code flock(2)} on a file beside it. The kernel gives the lock back
 * when the process ends, however it ends; the file it leaves then is taken over by the next.
 */
final class PathLock implements AutoCloseable {
  private static final int OWNER_ONLY = 0600;

  private final Path file;
  private final Descriptor descriptor;

  private PathLock(Path file, Descriptor descriptor) {
    this.file = file;
    this.descriptor = descriptor;
  }

  /**
   * Takes the lock of a path.
   *
   * @throws SystemCallException EADDRINUSE if somebody has it; ENOENT without the folder; EACCES
   */
  static PathLock take(SystemCalls calls, Path path) {
    Path file = path.resolveSibling(path.getFileName() + ".lock");
    while (true) {
      Descriptor descriptor =
          Descriptor.open(calls, file.toString(), Constants.O_RDWR | Constants.O_CREAT, OWNER_ONLY);
      boolean locked = false;
      try {
        int result;
        try (Descriptor.Use use = descriptor.use()) {
          result = calls.flock(use.number(), Constants.LOCK_EX | Constants.LOCK_NB);
        }
        if (result == -ErrnoNames.EAGAIN) {
          throw new SystemCallException(
              "bind to %s, where somebody listens or is about to".formatted(path),
              ErrnoNames.EADDRINUSE);
        }
        if (result < 0 && result != -ErrnoNames.ENOSYS) {
          throw new SystemCallException("flock of " + file, -result);
        }
        // A file that was removed since it was opened locks nothing.
        locked = isAt(file, descriptor);
        if (locked) {
          return new PathLock(file, descriptor);
        }
      } finally {
        if (!locked) {
          descriptor.close();
        }
      }
    }
  }

  private static boolean isAt(Path file, Descriptor descriptor) {
    try {
      long inode = (Long) Files.getAttribute(file, "unix:ino");
      return inode == FileStatus.of(descriptor).inode();
    } catch (NoSuchFileException _) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Removes the file, then gives the lock back. */
  @Override
  public void close() {
    if (descriptor.isOpen()) {
      file.toFile().delete();
      descriptor.close();
    }
  }
}
