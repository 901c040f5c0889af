// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixListener;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.wire.Header;

/** Cutting a stream into messages, and finding which descriptors belong to which. */
class MessageReaderTest extends LeakCheck {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int LIMIT = 4096;

  private interface Body {
    void run(UnixSocket sender, MessageReader reader, EventFd event) throws Exception;
  }

  /** Reading as much as there is, and reading message by message, come to the same. */
  private void connected(Body body) throws Exception {
    connected(false, body);
    connected(true, body);
  }

  private void connected(boolean exact, Body body) throws Exception {
    Path path = folder.resolve("s-" + exact);
    try (UnixListener listener =
            UnixListener.bind(CALLS, path, PosixFilePermissions.fromString("rw-------"));
        UnixSocket sender = UnixSocket.connect(CALLS, path);
        UnixSocket receiver = listener.accept();
        MessageReader reader = new MessageReader(receiver, LIMIT, LIMIT);
        EventFd event = EventFd.create(CALLS)) {
      if (exact) {
        reader.exact();
      }
      body.run(sender, reader, event);
    }
  }

  private MemorySegment message(int id, int size) {
    MemorySegment message = arena.allocate(Math.max(size, Header.SIZE));
    Header.encode(message, 0, id, 1, size, 0, 0);
    return message;
  }

  private void send(UnixSocket sender, int id, int size, EventFd event, int count) {
    send(sender, message(id, size), 0, size, event, count);
  }

  private static void send(
      UnixSocket sender, MemorySegment message, long offset, long size, EventFd event, int count) {
    try (Uses beside = Uses.of(Collections.nCopies(count, event.descriptor()))) {
      sender.send(message, offset, size, beside);
    }
  }

  private static void expect(MessageReader reader, int id, int size, int descriptors) {
    assertThat(reader.next()).isTrue();
    assertThat(Header.id(reader.buffer(), reader.at())).isEqualTo(id);
    assertThat(reader.size()).isEqualTo(size);
    assertThat(reader.descriptors()).as("descriptors of %d", id).isEqualTo(descriptors);
  }

  @Test
  void shouldGiveEachMessageItsOwnDescriptors() throws Exception {
    connected(
        (sender, reader, event) -> {
          send(sender, 1, 16, event, 0);
          send(sender, 2, 20, event, 0);
          send(sender, 3, 24, event, 2);
          send(sender, 4, 16, event, 0);
          send(sender, 5, 16, event, 1);
          send(sender, 6, 16, event, 1);
          expect(reader, 1, 16, 0);
          expect(reader, 2, 20, 0);
          expect(reader, 3, 24, 2);
          try (Descriptor taken = reader.take(1)) {
            assertThat(taken.isOpen()).isTrue();
          }
          expect(reader, 4, 16, 0);
          expect(reader, 5, 16, 1);
          expect(reader, 6, 16, 1);
        });
  }

  @Test
  void shouldKeepDescriptorsOfAMessageThatComesInParts() throws Exception {
    connected(
        (sender, reader, event) -> {
          MemorySegment message = message(1, 100);
          Thread later =
              new Thread(
                  () -> {
                    send(sender, message, 0, 1, event, 1);
                    sender.send(message, 1, 30);
                    send(sender, message, 31, 69, event, 1);
                    send(sender, 2, 16, event, 0);
                  });
          later.start();
          expect(reader, 1, 100, 2);
          expect(reader, 2, 16, 0);
          later.join();
        });
  }

  @Test
  void shouldGoOnWhenTheBufferIsFull() throws Exception {
    connected(
        (sender, reader, event) -> {
          Thread later =
              new Thread(
                  () -> {
                    for (int i = 0; i < 2000; i++) {
                      send(sender, i, 16 + i % 1000, event, i % 7 == 0 ? 1 : 0);
                    }
                  });
          later.start();
          for (int i = 0; i < 2000; i++) {
            expect(reader, i, 16 + i % 1000, i % 7 == 0 ? 1 : 0);
          }
          later.join();
        });
  }

  @Test
  void shouldTakeMessagesUpToTheLimit() throws Exception {
    connected(
        (sender, reader, event) -> {
          send(sender, 1, Header.SIZE, event, 0);
          send(sender, 2, LIMIT, event, 0);
          expect(reader, 1, Header.SIZE, 0);
          expect(reader, 2, LIMIT, 0);
          sender.shutdown();
          assertThat(reader.next()).isFalse();
        });
  }

  @Test
  void shouldRefuseSizesThatCannotBe() throws Exception {
    for (int size : new int[] {0, Header.SIZE - 1, LIMIT + 1, -1, Integer.MIN_VALUE}) {
      connected(
          (sender, reader, event) -> {
            MemorySegment message = arena.allocate(Header.SIZE);
            Header.encode(message, 0, 1, 1, size, 0, 0);
            send(sender, message, 0, Header.SIZE, event, 1);
            assertThatThrownBy(reader::next)
                .isInstanceOf(ConnectionException.class)
                .hasMessageContaining("size=" + Integer.toUnsignedLong(size))
                .hasMessageContaining("max=" + LIMIT);
          });
    }
  }

  @Test
  void shouldTellWhenTheSenderLeavesWithinAMessage() throws Exception {
    connected(
        (sender, reader, _) -> {
          sender.send(message(1, 100), 0, 50);
          sender.shutdown();
          assertThatThrownBy(reader::next)
              .isInstanceOf(ConnectionException.class)
              .hasMessageContaining("50 bytes");
        });
  }

  @Test
  void shouldRefuseDescriptorsWithoutEnd() throws Exception {
    connected(
        (sender, reader, event) -> {
          MemorySegment message = message(1, 100);
          for (int i = 0; i < 3; i++) {
            send(sender, message, 20L * i, 20, event, UnixSocket.MAX_DESCRIPTORS);
          }
          assertThatThrownBy(reader::next)
              .isInstanceOf(ConnectionException.class)
              .hasMessageContaining("too many descriptors: count=192, max=128");
        });
  }

  /** To close a stranger's descriptor may take for ever, and is not for the thread that reads. */
  @Test
  void shouldGiveToItsCloserWhatAPeekBringsTooMuch() throws Exception {
    Path path = folder.resolve("s");
    List<Descriptor> closed = new ArrayList<>();
    try (UnixListener listener =
            UnixListener.bind(CALLS, path, PosixFilePermissions.fromString("rw-------"));
        UnixSocket sender = UnixSocket.connect(CALLS, path);
        UnixSocket receiver = listener.accept();
        EventFd event = EventFd.create(CALLS);
        MessageReader reader =
            new MessageReader(receiver, arena.allocate(LIMIT, Long.BYTES), LIMIT, closed::add)) {
      reader.exact();
      send(sender, 1, 16, event, 0);
      send(sender, 2, 20, event, 2);
      expect(reader, 1, 16, 0);
      assertThat(closed).hasSize(2);
      expect(reader, 2, 20, 2);
      reader.take(0).close();
      sender.shutdown();
      assertThat(reader.next()).isFalse();
      assertThat(closed).hasSize(3);
      closed.forEach(Descriptor::close);
    }
  }
}
