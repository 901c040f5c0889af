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
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.posix.testing.OpenDescriptors;

/** Descriptors, memory and eventfds of this machine's kernel. */
class PosixTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private Set<String> before = Set.of();

  @BeforeEach
  void remember() throws Exception {
    before = OpenDescriptors.now();
  }

  @AfterEach
  void shouldLeaveNothingOpen() throws Exception {
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  @Test
  void shouldTellErrnoAndPathOfWhatCannotBeOpened() {
    assertThatThrownBy(() -> Descriptor.open(CALLS, "/nonexistent", Constants.O_RDONLY))
        .isInstanceOf(SystemCallException.class)
        .hasMessage("open /nonexistent: ENOENT (no such file)")
        .extracting(e -> ((SystemCallException) e).errno())
        .isEqualTo(ErrnoNames.ENOENT);
  }

  @Test
  void shouldAnswerAnIoctlThatNobodyKnowsWithItsErrno() {
    try (Descriptor zero = Descriptor.open(CALLS, "/dev/zero", Constants.O_RDONLY)) {
      assertThat(CALLS.ioctl(number(zero), 0x3b64, 0)).isEqualTo(-25);
    }
  }

  @Test
  void shouldCloseADescriptorOnce() {
    Descriptor first = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR);
    int number = number(first);
    first.close();
    try (Descriptor second = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR)) {
      assertThat(number(second)).isEqualTo(number);
      first.close();
      assertThat(CALLS.fcntl(number(second), Constants.F_GETFL, 0)).isNotNegative();
    }
    assertThatThrownBy(first::use).isInstanceOf(SystemCallException.class);
  }

  @Test
  void shouldShareAFileThatIsMemoryOnly() {
    try (Descriptor file = Memfd.create(CALLS, "test", 8192);
        MappedMemory one =
            MappedMemory.ofFile(file, 4096, 4096, Constants.PROT_READ | Constants.PROT_WRITE);
        MappedMemory other = MappedMemory.ofFile(file, 0, 8192, Constants.PROT_READ)) {
      one.segment().set(ValueLayout.JAVA_LONG, 8, 0x1234567890L);
      assertThat(other.segment().get(ValueLayout.JAVA_LONG, 4096 + 8)).isEqualTo(0x1234567890L);
      assertThat(other.segment().isReadOnly()).isTrue();
    }
  }

  @Test
  void shouldReadAndWriteAtOffsets() {
    try (Arena arena = Arena.ofConfined();
        Descriptor file = Memfd.create(CALLS, "test", 4096)) {
      MemorySegment word = arena.allocateFrom(ValueLayout.JAVA_INT, 42);
      assertThat(CALLS.pwrite(number(file), word, 4, 100)).isEqualTo(4);
      word.fill((byte) 0);
      assertThat(CALLS.pread(number(file), word, 4, 100)).isEqualTo(4);
      assertThat(word.get(ValueLayout.JAVA_INT, 0)).isEqualTo(42);
      assertThat(CALLS.lseek(number(file), 0, Constants.SEEK_END)).isEqualTo(4096);
    }
  }

  @Test
  void shouldAddSignalsUpAndTakeThemAtOnce() {
    try (EventFd event = EventFd.create(CALLS)) {
      assertThat(event.take()).isZero();
      event.signal();
      event.signal();
      assertThat(event.await(Duration.ofSeconds(10))).isEqualTo(2);
      assertThat(event.await(Duration.ZERO)).isZero();
    }
  }

  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void shouldNotWaitForRoomInACounterThatIsFull() {
    int fd = CALLS.eventfd(0, Constants.EFD_CLOEXEC);
    Descriptor blocking = new Descriptor(CALLS, SystemCallException.check(fd, "eventfd"), "full");
    try (Arena arena = Arena.ofConfined();
        EventFd event = EventFd.of(blocking)) {
      MemorySegment most = arena.allocateFrom(ValueLayout.JAVA_LONG, -2L);
      assertThat(CALLS.write(fd, most, Long.BYTES)).isEqualTo(Long.BYTES);
      event.signal();
      event.signal();
      // The kernel itself may count one further than write(2) does, and no further.
      assertThat(event.take()).isIn(-2L, -1L);
    }
  }

  @Test
  void shouldWakeAThreadThatWaits() throws Exception {
    try (EventFd event = EventFd.create(CALLS)) {
      Thread signaller = Thread.ofPlatform().start(event::signal);
      assertThat(event.await(Duration.ofSeconds(30))).isEqualTo(1);
      signaller.join();
    }
  }
}
