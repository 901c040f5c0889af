// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/**
 * A counter in the kernel that wakes who waits for it: how VFIO delivers interrupts. Several
 * threads may signal; one waits. One of {@link #create} does not block.
 */
public final class EventFd implements AutoCloseable {
  private final Descriptor descriptor;

  /** Whether the kernel signals it, since somebody shares it who could hold a writer. */
  private final boolean neverWaits;

  /**
   * Not ended by {@link #close}: another thread may be waiting, and ending one stops all threads.
   */
  private final Arena arena = Arena.ofAuto();

  private final MemorySegment one = arena.allocate(ValueLayout.JAVA_LONG);
  private final MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
  private final Poll readable;
  private final Poll writable;

  private EventFd(Descriptor descriptor, boolean shared) {
    this.descriptor = descriptor;
    neverWaits = shared && KernelSignal.available() && descriptor.calls() == SystemCalls.libc();
    one.set(ValueLayout.JAVA_LONG, 0, 1);
    readable = new Poll(descriptor, arena, Constants.POLLIN);
    writable = new Poll(descriptor, arena, Constants.POLLOUT);
  }

  /**
   * A new counter at zero.
   *
   * @throws SystemCallException EMFILE, ENOMEM
   */
  public static EventFd create(SystemCalls calls) {
    int fd = calls.eventfd(0, Constants.EFD_CLOEXEC | Constants.EFD_NONBLOCK);
    Descriptor descriptor =
        new Descriptor(calls, SystemCallException.check(fd, "eventfd"), "eventfd");
    return new EventFd(descriptor, false);
  }

  /** Takes over an eventfd that somebody else made, and may be hostile about. */
  public static EventFd of(Descriptor descriptor) {
    return new EventFd(descriptor, true);
  }

  /** The descriptor, which stays this object's. */
  public Descriptor descriptor() {
    return descriptor;
  }

  /**
   * Adds one. A counter that is full has been signalled all the same, and is left alone. Does not
   * wait, whatever somebody does who shares the eventfd, unless this process may make no request of
   * asynchronous I/O (a kernel without AIO, or a filter of system calls): then one who fills the
   * counter of an eventfd that blocks, again and again, can hold this thread.
   *
   * @throws SystemCallException EBADF if this is closed, EINVAL if the descriptor is no eventfd
   */
  public void signal() {
    if (neverWaits) {
      try (Descriptor.Use use = descriptor.use()) {
        SystemCallException.check(
            KernelSignal.signal(use.number()), "signal of " + descriptor.name());
      }
      return;
    }
    if (!writable.now()) {
      return;
    }
    SystemCalls calls = descriptor.calls();
    long written;
    try (Descriptor.Use use = descriptor.use()) {
      do {
        written = calls.write(use.number(), one, Long.BYTES);
      } while (written == -ErrnoNames.EINTR);
    }
    if (written < 0 && written != -ErrnoNames.EAGAIN) {
      throw new SystemCallException("write to " + descriptor.name(), (int) -written);
    }
  }

  /** Takes the count and sets it to zero; 0 if there was no signal. Does not wait. */
  public long take() {
    SystemCalls calls = descriptor.calls();
    long read;
    try (Descriptor.Use use = descriptor.use()) {
      do {
        read = calls.read(use.number(), count, Long.BYTES);
      } while (read == -ErrnoNames.EINTR);
    }
    if (read == -ErrnoNames.EAGAIN) {
      return 0;
    }
    SystemCallException.check(read, "read of " + descriptor.name());
    return count.get(ValueLayout.JAVA_LONG, 0);
  }

  /**
   * Waits for a signal, takes the count and sets it to zero.
   *
   * @param timeout how long at most; parts of a millisecond count as one
   * @return the count; 0 if the time was over first
   */
  public long await(Duration timeout) {
    long deadline = System.nanoTime() + timeout.toNanos();
    long taken = 0;
    while (taken == 0 && readable.until(deadline)) {
      taken = take();
    }
    return taken;
  }

  /**
   * Closes the descriptor. Does not end an {@link #await} of another thread, which goes on until
   * its time is over: a {@link #signal} before this does.
   */
  @Override
  public void close() {
    descriptor.close();
  }
}
