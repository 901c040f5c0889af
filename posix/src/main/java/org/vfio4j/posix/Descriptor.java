// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * An open file descriptor with one owner. It is closed exactly once, whatever {@code close(2)}
 * answers: Linux has freed the number by then, and a second call would close somebody else's.
 */
public final class Descriptor implements AutoCloseable {
  private final SystemCalls calls;
  private final int number;
  private final String name;
  private final AtomicBoolean closed = new AtomicBoolean();

  /**
   * Takes a descriptor over.
   *
   * @param number what the kernel gave
   * @param name what it refers to, for messages
   */
  public Descriptor(SystemCalls calls, int number, String name) {
    if (number < 0) {
      throw new IllegalArgumentException("not a descriptor: number=" + number);
    }
    this.calls = calls;
    this.number = number;
    this.name = name;
  }

  /**
   * Opens a file, closed on exec.
   *
   * @param flags {@link Constants}' {@code O_}
   * @throws SystemCallException if the kernel refuses
   */
  public static Descriptor open(SystemCalls calls, String path, int flags) {
    return open(calls, path, flags, 0);
  }

  /**
   * Opens a file, closed on exec, or makes it.
   *
   * @param flags {@link Constants}' {@code O_}
   * @param mode permissions of a file that is made, less the process' mask
   * @throws SystemCallException if the kernel refuses
   */
  static Descriptor open(SystemCalls calls, String path, int flags, int mode) {
    try (Arena arena = Arena.ofConfined()) {
      int fd;
      do {
        fd = calls.open(arena.allocateFrom(path), flags | Constants.O_CLOEXEC, mode);
      } while (fd == -ErrnoNames.EINTR);
      return new Descriptor(calls, SystemCallException.check(fd, "open " + path), path);
    }
  }

  /**
   * The number, to hand to a system call.
   *
   * @throws IllegalStateException if it is closed
   */
  public int number() {
    if (closed.get()) {
      throw new IllegalStateException(name + " is closed");
    }
    return number;
  }

  /** What it refers to. */
  public String name() {
    return name;
  }

  /** Whether it is still open. */
  public boolean isOpen() {
    return !closed.get();
  }

  /** The system calls it came from. */
  public SystemCalls calls() {
    return calls;
  }

  /** Another descriptor of the same open file, with an owner of its own. */
  public Descriptor duplicate() {
    int fd = calls.fcntl(number(), Constants.F_DUPFD_CLOEXEC, 0);
    return new Descriptor(calls, SystemCallException.check(fd, "dup " + name), name);
  }

  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      calls.close(number);
    }
  }

  @Override
  public String toString() {
    return "%s (descriptor %d%s)".formatted(name, number, closed.get() ? ", closed" : "");
  }
}
