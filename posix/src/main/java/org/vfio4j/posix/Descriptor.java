// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An open file descriptor with one owner. It is closed exactly once, whatever {@code close(2)}
 * answers: Linux has freed the number by then, and a second call would close somebody else's.
 *
 * <p>Threads other than the owner's may use it while the owner closes it. Linux gives the number of
 * a closed descriptor to whatever is opened next, so a system call that was about to begin would
 * reach somebody else's file. Hence each system call stands inside a use, and a descriptor that is
 * closed while it is in use keeps its number until the last use ends:
 *
 * <pre>{@code
 * try (Descriptor.Use use = file.use()) {
 *   calls.pread(use.number(), buffer, count, offset);
 * }
 * }</pre>
 *
 * <p>There is no other way to the number, for the owner neither: a call that begins with it has
 * begun a use. Calls that take several numbers have {@link Uses}.
 *
 * <p>{@link #close} never waits for a use, also where one blocks in the kernel. What ends a blocked
 * call is the caller's to know: a signal of the eventfd, {@code shutdown(2)} of the socket.
 * Thread-safe; uses allocate nothing.
 */
public final class Descriptor implements AutoCloseable {
  /** Set in {@link #state} once it is closed; the other bits count the uses. */
  private static final int CLOSED = 1 << 31;

  private final SystemCalls calls;
  private final int number;
  private final String name;
  private final AtomicInteger state = new AtomicInteger();
  private final Use use = new Use();
  private volatile Runnable then = () -> {};

  /**
   * A use of the descriptor, during which its number is its own. All uses of a descriptor are the
   * same object: each {@link #close} ends one of them, so each use is closed exactly once.
   */
  public final class Use implements AutoCloseable {
    private Use() {}

    /** The number, to hand to a system call before the use ends. */
    public int number() {
      return number;
    }

    /** Ends the use; see {@link Descriptor#leave}. */
    @Override
    public void close() {
      leave();
    }
  }

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
   * Begins a use, which its caller closes.
   *
   * @throws SystemCallException EBADF if the descriptor is closed
   */
  public Use use() {
    SystemCallException.check(enter(), name);
    return use;
  }

  /**
   * Begins a use without a throw, for callers that pass errors on as the kernel gives them.
   *
   * @return the number, for which {@link #leave} is owed; or {@code -EBADF}, for which nothing is
   */
  public int enter() {
    int seen = state.get();
    while (seen >= 0) {
      int witness = state.compareAndExchange(seen, seen + 1);
      if (witness == seen) {
        return number;
      }
      seen = witness;
    }
    return -ErrnoNames.EBADF;
  }

  /**
   * Ends a use. The last one of a closed descriptor closes the number.
   *
   * @throws IllegalStateException if no use is left to end
   */
  public void leave() {
    int left = state.decrementAndGet();
    if (left == CLOSED) {
      end();
    } else if (left == -1 || left == Integer.MAX_VALUE) {
      state.incrementAndGet();
      throw new IllegalStateException(name + " is not in use");
    }
  }

  /** What it refers to. */
  public String name() {
    return name;
  }

  /** Whether nobody has closed it. The answer is old at once: a {@link #use} makes it hold. */
  public boolean isOpen() {
    return state.get() >= 0;
  }

  /** The system calls it came from. */
  public SystemCalls calls() {
    return calls;
  }

  /**
   * Another descriptor of the same open file, with an owner of its own.
   *
   * @throws SystemCallException EBADF if this one is closed, EMFILE
   */
  public Descriptor duplicate() {
    return duplicateFrom(0);
  }

  /** The same with a number that is not below {@code least}. */
  Descriptor duplicateFrom(int least) {
    try (Use original = use()) {
      int fd = calls.fcntl(original.number(), Constants.F_DUPFD_CLOEXEC, least);
      return new Descriptor(calls, SystemCallException.check(fd, "dup " + name), name);
    }
  }

  /** {@code shutdown(2)} for both directions: ends what waits in the socket. Closed is fine. */
  void shutdown() {
    int fd = enter();
    if (fd >= 0) {
      try {
        calls.shutdown(fd, Constants.SHUT_RDWR);
      } finally {
        leave();
      }
    }
  }

  /**
   * Closes it: no use begins from now on. The number goes back to the kernel at once, or, if there
   * are uses, when the last of them ends. A second call does nothing. One that is {@linkplain
   * DescriptorStore#hold held} in a store waits for that to take note.
   */
  @Override
  public void close() {
    if (state.getAndUpdate(seen -> seen | CLOSED) == 0) {
      end();
    }
  }

  private void end() {
    calls.close(number);
    then.run();
  }

  /**
   * Has something done when the number has gone back to the kernel, by the thread that gives it
   * back. For the owner, once, before anybody else has the descriptor.
   */
  void onClose(Runnable after) {
    then = after;
  }

  @Override
  public String toString() {
    return "%s (descriptor %d%s)".formatted(name, number, isOpen() ? "" : ", closed");
  }
}
