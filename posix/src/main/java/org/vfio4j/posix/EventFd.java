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
  private final Arena arena = Arena.ofShared();
  private final MemorySegment one = arena.allocate(ValueLayout.JAVA_LONG);
  private final MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
  private final Poll readable;
  private final Poll writable;

  private EventFd(Descriptor descriptor) {
    this.descriptor = descriptor;
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
    return new EventFd(new Descriptor(calls, SystemCallException.check(fd, "eventfd"), "eventfd"));
  }

  /** Takes over an eventfd that somebody else made. */
  public static EventFd of(Descriptor descriptor) {
    return new EventFd(descriptor);
  }

  /** The number, to hand to the kernel. */
  public int number() {
    return descriptor.number();
  }

  /** The descriptor, which stays this object's. */
  public Descriptor descriptor() {
    return descriptor;
  }

  /**
   * Adds one. A counter that is full has been signalled all the same, and is left alone: whoever
   * shares the descriptor may have made it one that blocks, and would hold this thread.
   *
   * @throws SystemCallException EBADF, or EINVAL if the descriptor is no eventfd
   */
  public void signal() {
    if (!writable.now()) {
      return;
    }
    SystemCalls calls = descriptor.calls();
    long written;
    do {
      written = calls.write(descriptor.number(), one, Long.BYTES);
    } while (written == -ErrnoNames.EINTR);
    if (written < 0 && written != -ErrnoNames.EAGAIN) {
      throw new SystemCallException("write to " + descriptor.name(), (int) -written);
    }
  }

  /** Takes the count and sets it to zero; 0 if there was no signal. Does not wait. */
  public long take() {
    SystemCalls calls = descriptor.calls();
    long read;
    do {
      read = calls.read(descriptor.number(), count, Long.BYTES);
    } while (read == -ErrnoNames.EINTR);
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

  @Override
  public void close() {
    if (descriptor.isOpen()) {
      descriptor.close();
      arena.close();
    }
  }
}
