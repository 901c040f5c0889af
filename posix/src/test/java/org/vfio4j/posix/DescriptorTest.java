// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.posix.testing.InterposedSystemCalls;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.posix.testing.WatchedSystemCalls;

/**
 * B24: the number of a closed descriptor is whatever is opened next, so no system call may be made
 * with it, also where one thread closes while another is about to call.
 */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DescriptorTest {
  private final InterposedSystemCalls calls = new InterposedSystemCalls(SystemCalls.libc());
  private final List<Descriptor> strangers = new ArrayList<>();
  private Set<String> before = Set.of();

  @BeforeEach
  void remember() throws Exception {
    before = OpenDescriptors.now();
  }

  @AfterEach
  void shouldLeaveNothingOpen() throws Exception {
    strangers.forEach(Descriptor::close);
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  /** Closes, and has somebody else open a file, which is given the lowest number that is free. */
  private Runnable recycling(AutoCloseable closed) {
    return () -> {
      try {
        closed.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
      strangers.add(Memfd.create(SystemCalls.libc(), "a stranger's", 4096));
    };
  }

  private void shouldNotHaveBeenRecycled(int number) {
    assertThat(calls.done()).as("the call was made").isTrue();
    assertThat(strangers).hasSize(1);
    assertThat(number(strangers.getFirst())).isNotEqualTo(number);
    // With the end of the call the number is free.
    strangers.add(Memfd.create(SystemCalls.libc(), "the next", 4096));
    assertThat(number(strangers.getLast())).isEqualTo(number);
  }

  @Test
  void shouldKeepItsNumberUntilTheLastUseEnds() {
    Descriptor file = Memfd.create(calls, "mine", 4096);
    int number = number(file);
    Descriptor.Use first = file.use();
    Descriptor.Use second = file.use();
    recycling(file).run();
    first.close();
    assertThat(number(strangers.getFirst())).isNotEqualTo(number);
    assertThat(calls.fcntl(second.number(), Constants.F_GETFL, 0)).isNotNegative();
    second.close();
    strangers.add(Memfd.create(SystemCalls.libc(), "the next", 4096));
    assertThat(number(strangers.getLast())).isEqualTo(number);
  }

  @Test
  void shouldRefuseAUseOfWhatIsClosed() {
    Descriptor file = Memfd.create(calls, "mine", 4096);
    file.close();
    assertThat(file.isOpen()).isFalse();
    assertThat(file.enter()).isEqualTo(-ErrnoNames.EBADF);
    assertThatThrownBy(file::use)
        .isInstanceOfSatisfying(
            SystemCallException.class, e -> assertThat(e.errno()).isEqualTo(ErrnoNames.EBADF));
    assertThatThrownBy(file::leave).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void shouldRefuseToEndAUseThatWasNotBegun() {
    try (Descriptor file = Memfd.create(calls, "mine", 4096)) {
      assertThatThrownBy(file::leave).isInstanceOf(IllegalStateException.class);
      assertThat(file.enter()).isEqualTo(number(file));
      file.leave();
    }
  }

  @Test
  void shouldMapTheFileItWasAskedForOrNone() {
    Descriptor file = Memfd.create(calls, "mine", 4096);
    int number = number(file);
    calls.beforeNext("mmap", recycling(file));
    try (MappedMemory memory = MappedMemory.ofFile(file, 0, 4096, Constants.PROT_READ)) {
      assertThat(memory.segment().byteSize()).isEqualTo(4096);
    }
    shouldNotHaveBeenRecycled(number);
    assertThatThrownBy(() -> MappedMemory.ofFile(file, 0, 4096, Constants.PROT_READ))
        .isInstanceOf(SystemCallException.class);
  }

  @Test
  void shouldSignalItsOwnEventFdOrNone() {
    EventFd event = EventFd.create(calls);
    int number = number(event.descriptor());
    calls.beforeNext("write", recycling(event));
    event.signal();
    shouldNotHaveBeenRecycled(number);
    assertThatThrownBy(event::signal).isInstanceOf(SystemCallException.class);
  }

  @Test
  void shouldTakeFromItsOwnEventFdOrNone() {
    EventFd event = EventFd.create(calls);
    int number = number(event.descriptor());
    event.signal();
    calls.beforeNext("read", recycling(event));
    assertThat(event.take()).isEqualTo(1);
    shouldNotHaveBeenRecycled(number);
  }

  @Test
  void shouldAskForTheStatusOfItsOwnFileOrNone() {
    Descriptor file = Memfd.create(calls, "mine", 8192);
    int number = number(file);
    calls.beforeNext("statx", recycling(file));
    assertThat(FileStatus.of(file).length()).isEqualTo(8192);
    shouldNotHaveBeenRecycled(number);
  }

  @Test
  void shouldDuplicateItsOwnFileOrNone() {
    Descriptor file = Memfd.create(calls, "mine", 8192);
    int number = number(file);
    calls.beforeNext("fcntl", recycling(file));
    try (Descriptor copy = file.duplicate()) {
      assertThat(FileStatus.of(copy).length()).isEqualTo(8192);
      assertThat(number(strangers.getFirst())).isNotEqualTo(number);
    }
  }

  /** Two sockets that are connected with each other. */
  private List<Descriptor> pair() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pair = arena.allocate(8, 4);
      int result = calls.socketpair(Constants.AF_UNIX, Constants.SOCK_STREAM, 0, pair);
      assertThat(result).isZero();
      return List.of(
          new Descriptor(calls, pair.getAtIndex(ValueLayout.JAVA_INT, 0), "mine"),
          new Descriptor(calls, pair.getAtIndex(ValueLayout.JAVA_INT, 1), "theirs"));
    }
  }

  @Test
  void shouldShutDownItsOwnSocketOrNone() {
    List<Descriptor> pair = pair();
    Descriptor mine = pair.getFirst();
    int number = number(mine);
    try (UnixSocket socket = UnixSocket.of(mine);
        UnixSocket _ = UnixSocket.of(pair.getLast())) {
      calls.beforeNext("shutdown", recycling(mine));
      socket.shutdown();
      shouldNotHaveBeenRecycled(number);
      socket.shutdown();
    }
  }

  @Test
  void shouldSendItsOwnFileOrNone() {
    List<Descriptor> pair = pair();
    Descriptor file = Memfd.create(calls, "sent", 8192);
    try (Arena arena = Arena.ofConfined();
        UnixSocket sender = UnixSocket.of(pair.getFirst());
        UnixSocket receiver = UnixSocket.of(pair.getLast())) {
      MemorySegment bytes = arena.allocate(8);
      calls.beforeNext("sendmsg", recycling(file));
      Uses uses = Uses.of(List.of(file));
      try (uses) {
        sender.send(bytes, 0, 1, uses);
      }
      assertThat(calls.done()).isTrue();
      receiver.receive(bytes, 0, 1);
      try (Descriptor taken = receiver.takeDescriptor(0, "taken")) {
        assertThat(FileStatus.of(taken).length()).as("not the stranger's").isEqualTo(8192);
      }
      assertThatThrownBy(() -> sender.send(bytes, 0, 1, uses))
          .as("the uses have ended")
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> Uses.of(List.of(file))).isInstanceOf(SystemCallException.class);
    }
  }

  /**
   * No method hands the number of a descriptor out, or takes one from outside, but those of a use:
   * whoever had it could keep it for longer than the descriptor is open.
   */
  @Test
  void shouldHaveNoNumberWithoutAUse() {
    assertThat(methods(Descriptor.class, m -> m.getReturnType() == int.class))
        .containsExactly("enter");
    assertThat(methods(EventFd.class, m -> m.getReturnType() == int.class)).isEmpty();
    for (Class<?> type : List.of(EventFd.class, UnixSocket.class, UnixListener.class)) {
      assertThat(methods(type, m -> m.getReturnType() == int[].class)).isEmpty();
      assertThat(methods(type, m -> List.of(m.getParameterTypes()).contains(int[].class)))
          .as("methods of %s that take numbers", type.getSimpleName())
          .isEmpty();
    }
  }

  private static List<String> methods(Class<?> type, Predicate<Method> which) {
    return Stream.of(type.getDeclaredMethods())
        .filter(m -> !Modifier.isPrivate(m.getModifiers()) && !m.isSynthetic())
        .filter(which)
        .map(Method::getName)
        .toList();
  }

  @Test
  void shouldUseAllOfAListOrNone() {
    Descriptor first = Memfd.create(calls, "first", 4096);
    Descriptor second = Memfd.create(calls, "second", 4096);
    int number = number(first);
    try (Uses uses = Uses.ofPresent(List.of(Optional.of(first), Optional.empty()))) {
      assertThat(uses.numbers()).containsExactly(number, -1);
      recycling(first).run();
      assertThat(number(strangers.getFirst())).isNotEqualTo(number);
    }
    assertThatThrownBy(() -> Uses.of(List.of(second, first)))
        .isInstanceOf(SystemCallException.class);
    int freed = number(second);
    second.close();
    strangers.add(Memfd.create(SystemCalls.libc(), "the next", 4096));
    assertThat(number(strangers.getLast())).as("no use is left").isIn(number, freed);
  }

  /** Nobody is held up by who waits in the kernel; who waits keeps the number until he returns. */
  @Test
  void shouldCloseWithoutWaitingForABlockedCall() throws Exception {
    EventFd event = EventFd.create(calls);
    int number = number(event.descriptor());
    Descriptor copy = event.descriptor().duplicate();
    try (ExecutorService waiting = Executors.newSingleThreadExecutor();
        EventFd other = EventFd.of(copy)) {
      CountDownLatch closed = new CountDownLatch(1);
      calls.beforeNext(
          "poll",
          () -> {
            recycling(event).run();
            closed.countDown();
          });
      Future<Long> taken = waiting.submit(() -> event.await(Duration.ofSeconds(50)));
      assertThat(closed.await(50, TimeUnit.SECONDS)).isTrue();
      assertThat(number(strangers.getFirst())).isNotEqualTo(number);
      other.signal();
      assertThatThrownBy(() -> taken.get(50, TimeUnit.SECONDS))
          .as("it was woken, and finds it closed")
          .hasRootCauseInstanceOf(SystemCallException.class);
    }
  }

  @Test
  void shouldCloseOnceHoweverManyUseAndClose() throws Exception {
    AtomicInteger closes = new AtomicInteger();
    WatchedSystemCalls counting =
        new WatchedSystemCalls(SystemCalls.libc()) {
          @Override
          protected int before(String call, int request) {
            if (call.equals("close")) {
              closes.incrementAndGet();
            }
            return 0;
          }
        };
    int threads = 4;
    int rounds = 500;
    try (ExecutorService all = Executors.newFixedThreadPool(threads)) {
      for (int round = 0; round < rounds; round++) {
        Descriptor file = Memfd.create(counting, "shared", 4096);
        CountDownLatch start = new CountDownLatch(threads);
        List<Future<?>> ends = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
          ends.add(all.submit(() -> useAndClose(counting, file, start)));
        }
        for (Future<?> end : ends) {
          end.get();
        }
      }
    }
    assertThat(closes).hasValue(rounds);
  }

  private static void useAndClose(SystemCalls calls, Descriptor file, CountDownLatch start) {
    start.countDown();
    int fd = file.enter();
    if (fd >= 0) {
      try {
        assertThat(calls.fcntl(fd, Constants.F_GETFL, 0)).isNotNegative();
      } finally {
        file.leave();
      }
    }
    file.close();
  }
}
