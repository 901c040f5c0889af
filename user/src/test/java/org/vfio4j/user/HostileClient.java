// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Message;
import org.vfio4j.user.wire.Version;

/**
 * One connection that sends whatever it is told to, and counts what is answered. For the thread
 * that made it.
 */
final class HostileClient implements AutoCloseable {
  /** An id above those of all but the last message. */
  static final int LAST = 0xbeef;

  /** A proposal that the server agrees to. */
  static final Version GREETING = new Version(0, 1, Capabilities.of(16, 1 << 20, 1000, 4096, true));

  /** How a command of the server is answered. */
  enum Manner {
    RIGHT,
    FAILED,
    OTHER_ID,
    SHORT,
    OTHER_COMMAND,
    OTHER_ADDRESS,
    NOT_AT_ALL;

    /** Whether who asked learns of it before the time is over. */
    boolean heard() {
      return this != OTHER_ID && this != NOT_AT_ALL;
    }
  }

  private final UnixSocket socket;
  private final HostileCounts counts;
  private final Supplier<Manner> manner;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment out = arena.allocate(1 << 17);
  private final MemorySegment last = arena.allocate(Header.SIZE);
  private final MessageWriter writer;
  private final Semaphore served = new Semaphore(0);
  private final Thread reader;

  /** The reader's; most connections need none. */
  private MemorySegment answer = MemorySegment.NULL;

  /**
   * Connects.
   *
   * @param manner asked for each command of the server, by a thread of its own
   */
  HostileClient(Path path, HostileCounts counts, Supplier<Manner> manner) {
    socket = UnixSocket.connect(SystemCalls.libc(), path);
    this.counts = counts;
    this.manner = manner;
    writer = new MessageWriter(socket);
    reader = new Thread(this::read, "hostile reader");
    reader.start();
  }

  /** Where messages are made before they are sent. */
  MemorySegment out() {
    return out;
  }

  /** Sends a message as it should be. */
  void send(int id, Message message) {
    int size = Header.SIZE + message.length();
    message.encode(out, Header.SIZE);
    Header.encode(out, 0, id, message.command(), size, 0, 0);
    send(size, List.of());
  }

  /**
   * Sends what is in {@link #out}.
   *
   * @throws SystemCallException if the server has ended the connection, as it may
   */
  void send(int size, List<Descriptor> descriptors) {
    try (Uses beside = Uses.of(descriptors)) {
      writer.send(out, size, beside);
    }
    counts.sent(Header.command(out, 0));
  }

  /** Sends it in two parts, the first with the descriptors and the second with none or all. */
  void sendInParts(int first, int size, List<Descriptor> descriptors, boolean again) {
    // An answer of the reader's in between would be taken for the second part.
    synchronized (writer) {
      try (Uses beside = Uses.of(descriptors)) {
        writer.send(out, first, beside);
        socket.send(out, first, size - first, again ? beside : Uses.NONE);
      }
    }
    counts.sent(Header.command(out, 0));
  }

  /** Sends a message that is answered after all that were sent before. */
  void sendLast() {
    Header.encode(last, 0, LAST, Command.GET_INFO, Header.SIZE, 0, 0);
    writer.send(last, Header.SIZE);
  }

  /** Waits until that one is answered, or the server has ended the connection. */
  void awaitLast() throws InterruptedException {
    if (!served.tryAcquire(60, TimeUnit.SECONDS)) {
      throw new AssertionError("the server answers no more");
    }
  }

  private void read() {
    try (Arena own = Arena.ofConfined();
        MessageReader in = new MessageReader(socket, Negotiated.CAPACITY, Negotiated.CAPACITY)) {
      while (in.next()) {
        MemorySegment from = in.buffer();
        int at = in.at();
        int flags = Header.flags(from, at);
        int command = Header.command(from, at);
        if ((flags & Header.TYPE) == Header.TYPE_COMMAND) {
          answer(manner.get(), from, at, own);
        } else if (Header.id(from, at) == LAST) {
          served.release();
        } else {
          counts.reply(command, (flags & Header.ERROR) != 0 ? Header.error(from, at) : 0);
        }
      }
    } catch (ConnectionException | SystemCallException _) {
      // Ended in the middle, as this side deserves.
    } finally {
      served.release(Integer.MAX_VALUE / 2);
    }
  }

  private void answer(Manner how, MemorySegment from, int at, Arena own) {
    if (answer.byteSize() == 0) {
      answer = own.allocate(Negotiated.CAPACITY);
    }
    long count = DmaAccess.count(from, at + Header.SIZE);
    int size = Header.SIZE;
    if (Header.command(from, at) == Command.DMA_READ && count <= 1 << 20) {
      size += DmaAccess.SIZE + (int) count;
    }
    DmaAccess.encode(answer, Header.SIZE, DmaAccess.address(from, at + Header.SIZE), count);
    int id = Header.id(from, at);
    int command = Header.command(from, at);
    int flags = Header.TYPE_REPLY;
    switch (how) {
      case FAILED -> flags |= Header.ERROR;
      case OTHER_ID -> id ^= 1;
      case SHORT -> size = Math.max(Header.SIZE, size - 1);
      case OTHER_COMMAND -> command ^= 1;
      case OTHER_ADDRESS -> answer.set(ValueLayout.JAVA_LONG, Header.SIZE, -1);
      case RIGHT -> {}
      case NOT_AT_ALL -> {
        return;
      }
    }
    Header.encode(answer, 0, id, command, size, flags, 5);
    writer.send(answer, size);
  }

  @Override
  public void close() {
    socket.shutdown();
    boolean interrupted = false;
    while (reader.isAlive()) {
      try {
        reader.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    socket.close();
    arena.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
