// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.OptionalLong;

/**
 * Keeps a path to one process: {@code flock(2)} on a file beside it. The kernel gives the lock back
 * when the process ends, however it ends; the file it leaves then is taken over by the next.
 */
public final class PathLock implements AutoCloseable {
  private static final int OWNER_ONLY = 0600;

  private final Path file;
  private final Descriptor descriptor;

  private PathLock(Path file, Descriptor descriptor) {
    this.file = file;
    this.descriptor = descriptor;
  }

  /**
   * Takes the lock of a path, and writes into it whose it is.
   *
   * @throws SystemCallException EADDRINUSE if somebody has it; ENOENT without the folder; EACCES
   */
  public static PathLock take(SystemCalls calls, Path path) {
    Path file = fileOf(path);
    while (true) {
      Descriptor descriptor =
          // Where others may write to the folder, a link of theirs could lead anywhere.
          Descriptor.open(
              calls,
              file.toString(),
              Constants.O_RDWR | Constants.O_CREAT | Constants.O_NOFOLLOW,
              OWNER_ONLY);
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
          Files.writeString(
              file,
              ProcessHandle.current().pid() + "\n",
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING,
              LinkOption.NOFOLLOW_LINKS);
          return new PathLock(file, descriptor);
        }
      } catch (IOException e) {
        locked = false;
        throw new UncheckedIOException(e);
      } finally {
        if (!locked) {
          descriptor.close();
        }
      }
    }
  }

  /** The process that has the lock of a path, as far as the file says it. */
  public static OptionalLong holder(Path path) {
    try {
      return OptionalLong.of(Long.parseLong(Files.readString(fileOf(path)).strip()));
    } catch (IOException | NumberFormatException _) {
      return OptionalLong.empty();
    }
  }

  private static Path fileOf(Path path) {
    return path.resolveSibling(path.getFileName() + ".lock");
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
