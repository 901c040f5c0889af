// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Adds one to an eventfd as the kernel does when it delivers an interrupt: without waiting,
 * whatever the counter holds and whatever flags the descriptor has.
 *
 * <p>A {@code write} would wait while the counter is full unless O_NONBLOCK is set, and whoever
 * shares the eventfd can fill the counter and clear the flag between any check and the write. There
 * is no flag for one such write. But a request of asynchronous I/O can name an eventfd that the
 * kernel signals when the request is done ({@code IOCB_FLAG_RESFD}), and that never waits: a full
 * counter stays full, as it does for KVM and VFIO. The request here is one that is done at once and
 * does nothing: a read of no bytes.
 */
final class KernelSignal {
  private static final SystemCalls CALLS = SystemCalls.libc();

  /** Requests that are done and not forgotten yet, of all threads; each forgets its own at once. */
  private static final int EVENTS = 64;

  private static final int EVENT_SIZE = 32;
  private static final int MOST = 8;
  private static final int FILE = 20;
  private static final int BUFFER = 24;
  private static final int FLAGS = 56;
  private static final int EVENTFD = 60;
  private static final int RESFD = 1;

  /** The number of the context; 0 if this kernel, or a filter of its calls, has none. */
  private static final long CONTEXT = setUp();

  private static final ThreadLocal<Request> REQUESTS = ThreadLocal.withInitial(Request::new);

  private KernelSignal() {}

  /** A thread's {@code struct iocb}, a pointer to it, and room for what is done. */
  private static final class Request {
    private final Arena arena = Arena.ofAuto();
    final MemorySegment request = arena.allocate(64, Long.BYTES);
    final MemorySegment pointer = arena.allocate(Long.BYTES, Long.BYTES);
    final MemorySegment events = arena.allocate(EVENT_SIZE * MOST, Long.BYTES);
    final MemorySegment noTime = arena.allocate(16, Long.BYTES);

    Request() {
      pointer.set(ValueLayout.JAVA_LONG, 0, request.address());
      request.set(ValueLayout.JAVA_LONG, BUFFER, events.address());
      request.set(ValueLayout.JAVA_INT, FLAGS, RESFD);
    }
  }

  private static long setUp() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment context = arena.allocate(Long.BYTES, Long.BYTES);
      return CALLS.ioSetup(EVENTS, context) < 0 ? 0 : context.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** Whether this process can signal so. */
  static boolean available() {
    return CONTEXT != 0;
  }

  /**
   * Signals an eventfd, which may not be a descriptor of somebody else's by now.
   *
   * @return 0, or a negative errno: EBADF, EINVAL if it is no eventfd
   */
  static int signal(int fd) {
    Request own = REQUESTS.get();
    own.request.set(ValueLayout.JAVA_INT, FILE, fd);
    own.request.set(ValueLayout.JAVA_INT, EVENTFD, fd);
    int result;
    do {
      result = CALLS.ioSubmit(CONTEXT, own.pointer);
      // Done already. Full means that others have not come this far: this forgets theirs as well.
      CALLS.ioGetEvents(CONTEXT, MOST, own.events, own.noTime);
    } while (result == -ErrnoNames.EAGAIN || result == -ErrnoNames.EINTR);
    return Math.min(result, 0);
  }
}
