// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.testing.OpenDescriptors;

/** Sockets that carry descriptors. */
class UnixSocketTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  @TempDir Path folder = Path.of("");
  private final Arena arena = Arena.ofShared();
  private Set<String> before = Set.of();

  @BeforeEach
  void remember() throws Exception {
    before = OpenDescriptors.now();
  }

  @AfterEach
  void shouldLeaveNothingOpen() throws Exception {
    arena.close();
    assertThat(OpenDescriptors.now()).isEqualTo(before);
  }

  private UnixListener listen(Path path) {
    return UnixListener.bind(CALLS, path, PosixFilePermissions.fromString("rw-------"));
  }

  @Test
  void shouldCarryBytesAndDescriptors() {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path);
        UnixSocket client = UnixSocket.connect(CALLS, path);
        UnixSocket server = listener.accept();
        Descriptor file = Memfd.create(CALLS, "sent", 4096)) {
      MemorySegment bytes = arena.allocateFrom("hello");
      try (Uses uses = Uses.of(List.of(file, file, file))) {
        client.send(bytes, 0, 6, uses);
      }
      MemorySegment buffer = arena.allocate(64);
      assertThat(server.receive(buffer, 8, 32)).isEqualTo(6);
      assertThat(buffer.getString(8)).isEqualTo("hello");
      assertThat(server.descriptors()).isEqualTo(3);
      try (Descriptor taken = server.takeDescriptor(1, "taken")) {
        assertThat(CALLS.lseek(number(taken), 0, Constants.SEEK_END)).isEqualTo(4096);
      }
      assertThat(server.descriptors()).isEqualTo(2);
      assertThatThrownBy(() -> server.takeDescriptor(1, "again"))
          .isInstanceOf(IndexOutOfBoundsException.class);
      client.send(bytes, 0, 1);
      server.receive(buffer, 0, 1);
      assertThat(server.descriptors()).isZero();
    }
  }

  @Test
  void shouldTellWhetherThereIsAnythingToReceive() {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path)) {
      UnixSocket client = UnixSocket.connect(CALLS, path);
      try (UnixSocket server = listener.accept()) {
        assertThat(server.awaitUntil(System.nanoTime())).isFalse();
        assertThat(server.awaitUntil(System.nanoTime() + 2_000_000)).isFalse();
        client.send(arena.allocate(1), 0, 1);
        assertThat(server.awaitUntil(System.nanoTime() + 20_000_000_000L)).isTrue();
        assertThat(server.hungUp()).isFalse();
        client.close();
        assertThat(server.hungUp()).as("with a byte unread").isTrue();
        assertThat(server.receive(arena.allocate(1), 0, 1)).isEqualTo(1);
        assertThat(server.awaitUntil(System.nanoTime())).as("the end").isTrue();
      } finally {
        client.close();
      }
    }
  }

  @Test
  void shouldCarryAsManyDescriptorsAsItSays() {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path);
        UnixSocket client = UnixSocket.connect(CALLS, path);
        UnixSocket server = listener.accept();
        EventFd event = EventFd.create(CALLS)) {
      List<Descriptor> many =
          Collections.nCopies(UnixSocket.MAX_DESCRIPTORS + 1, event.descriptor());
      MemorySegment buffer = arena.allocate(8);
      try (Uses uses = Uses.of(many.subList(1, many.size()))) {
        client.send(buffer, 0, 1, uses);
      }
      server.receive(buffer, 0, 8);
      assertThat(server.descriptors()).isEqualTo(UnixSocket.MAX_DESCRIPTORS);
      try (Uses uses = Uses.of(many)) {
        assertThatThrownBy(() -> client.send(buffer, 0, 1, uses))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("count=65, max=64");
      }
    }
  }

  @Test
  void shouldSendAllOfWhatDoesNotFitTheQueue() throws Exception {
    Path path = folder.resolve("s");
    long length = 8L << 20;
    try (UnixListener listener = listen(path);
        UnixSocket client = UnixSocket.connect(CALLS, path);
        UnixSocket server = listener.accept()) {
      MemorySegment sent = arena.allocate(length);
      for (long i = 0; i < length; i += 8) {
        sent.set(ValueLayout.JAVA_LONG, i, i * 31);
      }
      Thread sender = Thread.ofPlatform().start(() -> client.send(sent, 0, length));
      MemorySegment got = arena.allocate(length);
      long at = 0;
      while (at < length) {
        at += server.receive(got, at, length - at);
      }
      sender.join();
      assertThat(sent.mismatch(got)).isEqualTo(-1);
    }
  }

  @Test
  void shouldTellWhoIsAtTheOtherEnd() {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path);
        UnixSocket _ = UnixSocket.connect(CALLS, path);
        UnixSocket server = listener.accept()) {
      assertThat(server.peer().pid()).isEqualTo((int) ProcessHandle.current().pid());
    }
  }

  @Test
  void shouldSeeThePeerLeave() {
    Path path = folder.resolve("s");
    MemorySegment buffer = arena.allocate(8);
    try (UnixListener listener = listen(path)) {
      UnixSocket client = UnixSocket.connect(CALLS, path);
      try (UnixSocket server = listener.accept()) {
        client.close();
        assertThat(server.receive(buffer, 0, 8)).isZero();
        assertThatThrownBy(() -> server.send(buffer, 0, 8))
            .isInstanceOf(SystemCallException.class)
            .hasMessageContaining("EPIPE");
      }
    }
  }

  @Test
  void shouldWakeWhoWaitsOnShutdown() throws Exception {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path);
        UnixSocket client = UnixSocket.connect(CALLS, path);
        UnixSocket server = listener.accept()) {
      Thread other = Thread.ofPlatform().start(server::shutdown);
      assertThat(client.receive(arena.allocate(8), 0, 8)).isZero();
      other.join();
      Thread stopper = Thread.ofPlatform().start(listener::shutdown);
      assertThatThrownBy(listener::accept).isInstanceOf(SystemCallException.class);
      stopper.join();
    }
  }

  @Test
  void shouldBeForItsOwnerOnlyAndGoWithItsListener() throws Exception {
    Path path = folder.resolve("s");
    try (UnixListener _ = listen(path)) {
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
          .isEqualTo("rw-------");
    }
    assertThat(path).doesNotExist();
  }

  @Test
  void shouldReplaceWhatAKilledProcessLeftAndNothingElse() throws Exception {
    Path path = folder.resolve("s");
    try (UnixListener listener = listen(path)) {
      assertThatThrownBy(() -> listen(path))
          .isInstanceOf(SystemCallException.class)
          .hasMessageContaining("where somebody listens");
      Files.move(path, folder.resolve("kept"));
      assertThat(listener.path()).isEqualTo(path);
    }
    // Its listener is gone and did not find it: as after a kill.
    Files.move(folder.resolve("kept"), path);
    try (UnixListener _ = listen(path)) {
      UnixSocket.connect(CALLS, path).close();
    }
    Files.writeString(path, "precious");
    assertThatThrownBy(() -> listen(path)).hasMessageContaining("which is no socket");
    assertThat(path).hasContent("precious");
  }

  @Test
  void shouldRefuseAPathThatIsTooLong() {
    Path path = folder.resolve("x".repeat(120));
    assertThatThrownBy(() -> UnixSocket.connect(CALLS, path))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at most 107");
  }
}
