// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Eventfds that somebody else has as well, and does with what it likes (B2, B7). */
@Timeout(120)
class EventFdTest {
  private static final SystemCalls CALLS = SystemCalls.libc();

  /** Most that a counter holds when it is written. */
  private static final long FULL = -2;

  private static final int TRIES = 200;
  private static final int NEAR = 100;

  private static Descriptor blocking() {
    int fd = SystemCallException.check(CALLS.eventfd(0, Constants.EFD_CLOEXEC), "eventfd");
    return new Descriptor(CALLS, fd, "a blocking eventfd");
  }

  private static void write(Descriptor to, long value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_LONG, value);
      SystemCallException.check(CALLS.write(number(to), bytes, Long.BYTES), "write");
    }
  }

  /**
   * B2: whoever shares an eventfd that blocks can fill it between any check and the write. Here two
   * threads count up to the limit at the same time; the one that signals must not be held there.
   */
  @Test
  void shouldNotBeHeldByWhoFillsTheCounterMeanwhile() throws Exception {
    for (int n = 0; n < TRIES; n++) {
      try (EventFd signalled = EventFd.of(blocking());
          Descriptor shared = signalled.descriptor().duplicate()) {
        write(shared, FULL - NEAR);
        Thread filling = Thread.ofPlatform().daemon().start(() -> fill(shared));
        Thread signalling = Thread.ofPlatform().daemon().start(() -> signal(signalled));
        signalling.join(Duration.ofSeconds(10));
        boolean held = signalling.isAlive();
        do {
          // Lets go of who is held: a read makes room.
          signalled.await(Duration.ofMillis(1));
        } while (filling.isAlive() || signalling.isAlive());
        assertThat(held).as("held at try %d", n).isFalse();
      }
    }
  }

  private static void fill(Descriptor shared) {
    for (int n = 0; n < 2 * NEAR; n++) {
      write(shared, 1);
    }
  }

  private static void signal(EventFd signalled) {
    for (int n = 0; n < 2 * NEAR; n++) {
      signalled.signal();
    }
  }

  @Test
  void shouldSignalOnceForEachSignalAndStopAtTheLimit() {
    try (EventFd signalled = EventFd.of(blocking())) {
      for (int n = 0; n < 1000; n++) {
        signalled.signal();
      }
      assertThat(signalled.take()).isEqualTo(1000);
      write(signalled.descriptor(), FULL);
      signalled.signal();
      signalled.signal();
      assertThat(signalled.take()).as("full").isLessThan(0);
    }
  }

  @Test
  void shouldTellThatADescriptorIsNoEventfd() {
    try (EventFd none = EventFd.of(Memfd.create(CALLS, "no eventfd", 4096))) {
      assertThatThrownBy(none::signal)
          .isInstanceOfSatisfying(
              SystemCallException.class, e -> assertThat(e.errno()).isEqualTo(ErrnoNames.EINVAL));
    }
  }

  /**
   * B7: a driver closes the eventfd that its interrupt thread waits for, which threw and leaked.
   */
  @Test
  @SuppressWarnings("try") // To close it early is what is tested.
  void shouldBeClosedWhileAnotherThreadAwaitsIt() throws Exception {
    try (Descriptor shared = shared();
        EventFd eventFd = EventFd.of(shared.duplicate())) {
      long[] taken = {-1};
      Thread waiting = Thread.ofPlatform().daemon().start(() -> taken[0] = await(eventFd));
      while (!inPoll(waiting)) {
        Thread.onSpinWait();
      }
      eventFd.close();
      assertThat(eventFd.descriptor().isOpen()).isFalse();
      write(shared, 1);
      waiting.join(Duration.ofSeconds(20));
      assertThat(waiting.isAlive()).as("still waits").isFalse();
    }
  }

  private static Descriptor shared() {
    int fd = CALLS.eventfd(0, Constants.EFD_CLOEXEC | Constants.EFD_NONBLOCK);
    return new Descriptor(CALLS, SystemCallException.check(fd, "eventfd"), "shared");
  }

  private static long await(EventFd eventFd) {
    try {
      return eventFd.await(Duration.ofSeconds(60));
    } catch (IllegalStateException | SystemCallException _) {
      // Woken, and finds it closed.
      return 0;
    }
  }

  private static boolean inPoll(Thread thread) {
    return Arrays.stream(thread.getStackTrace())
        .anyMatch(frame -> frame.getMethodName().equals("poll"));
  }
}
