// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import org.vfio4j.linux.posix.SystemCallException;
import org.vfio4j.linux.posix.SystemCalls;
import org.vfio4j.linux.posix.UnixSocket;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Version;

/** One connection that sends nonsense, and counts what is answered. */
final class HostileClient implements AutoCloseable {
  /** An id above those of all but the last message. */
  static final int LAST = 0xbeef;

  private static final int COMMANDS = 32;
  private static final int ERRNOS = 256;

  /** Replies by command and errno, of all connections. */
  static final class Counts {
    final AtomicLongArray replies = new AtomicLongArray(COMMANDS * ERRNOS);

    /** Messages sent; those of them without a chance of a reply. */
    final AtomicLongArray sent = new AtomicLongArray(COMMANDS);

    void reply(int command, int errno) {
      replies.incrementAndGet(Math.min(command, COMMANDS - 1) * ERRNOS + (errno & 0xff));
    }

    long of(int command) {
      long sum = 0;
      for (int errno = 0; errno < ERRNOS; errno++) {
        sum += replies.get(command * ERRNOS + errno);
      }
      return sum;
    }

    long of(int command, int errno) {
      return replies.get(command * ERRNOS + errno);
    }
  }

  private final UnixSocket socket;
  private final Random random;
  private final int[] descriptors;
  private final Counts counts;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment out = arena.allocate(1 << 17);
  private final MemorySegment answer = arena.allocate(Negotiated.CAPACITY);
  private final MessageWriter writer;
  private final CountDownLatch last = new CountDownLatch(1);
  private final Thread reader;

  HostileClient(Path path, Random random, int[] descriptors, Counts counts) {
    socket = UnixSocket.connect(SystemCalls.libc(), path);
    this.random = random;
    this.descriptors = descriptors;
    this.counts = counts;
    writer = new MessageWriter(socket);
    reader = new Thread(this::read, "hostile reader");
    reader.start();
  }

  /**
   * Sends up to so many messages.
   *
   * @return how many were sent
   */
  int run(int messages) throws InterruptedException {
    HostileMessages generator = new HostileMessages(random);
    int sent = 0;
    try {
      if (random.nextInt(50) > 0) {
        counts.sent.incrementAndGet(Command.VERSION);
        send(0, new Version(0, 1, Capabilities.of(16, 1 << 20, 1000, 4096, true)));
      }
      while (sent < messages) {
        HostileMessages.Made made = generator.next(out);
        sent++;
        counts.sent.incrementAndGet(Math.min(Header.command(out, 0), COMMANDS - 1));
        sendSomehow(made.size());
        if (made.fatal()) {
          return sent;
        }
      }
      Header.encode(out, 0, LAST, Command.GET_INFO, Header.SIZE, 0, 0);
      writer.send(out, Header.SIZE);
      if (random.nextInt(4) > 0 && !last.await(60, TimeUnit.SECONDS)) {
        throw new AssertionError("the server answers no more");
      }
    } catch (SystemCallException _) {
      // The server has ended the connection, as it may.
    }
    return sent;
  }

  private void send(int id, Version version) {
    int length = version.length();
    version.encode(out, Header.SIZE);
    Header.encode(out, 0, id, Command.VERSION, Header.SIZE + length, 0, 0);
    writer.send(out, Header.SIZE + length);
  }

  /** At once or in two parts, alone or with descriptors. */
  private void sendSomehow(int size) {
    int command = Header.command(out, 0);
    int some = random.nextInt(20) == 0 ? random.nextInt(UnixSocket.MAX_DESCRIPTORS) : 0;
    if (command == Command.DMA_MAP) {
      some = random.nextInt(3) > 0 ? 1 : some;
    } else if (command == Command.SET_IRQS) {
      some = random.nextInt(2) > 0 ? random.nextInt(4) : some;
    }
    int[] with = new int[some];
    for (int i = 0; i < some; i++) {
      with[i] = descriptors[random.nextInt(descriptors.length)];
    }
    if (random.nextInt(16) == 0 && size > 1) {
      int first = 1 + random.nextInt(size - 1);
      writer.send(out, first, with, some);
      socket.send(out, first, size - first, with, random.nextInt(3) == 0 ? some : 0);
    } else {
      writer.send(out, size, with, some);
    }
  }

  private void read() {
    Random own = new Random(random.nextLong());
    try (MessageReader in = new MessageReader(socket, Negotiated.CAPACITY, Negotiated.CAPACITY)) {
      while (in.next()) {
        MemorySegment from = in.buffer();
        int at = in.at();
        int flags = Header.flags(from, at);
        int command = Header.command(from, at);
        if ((flags & Header.TYPE) == Header.TYPE_COMMAND) {
          answer(own, from, at);
          continue;
        }
        if (Header.id(from, at) == LAST) {
          last.countDown();
        } else {
          counts.reply(command, (flags & Header.ERROR) != 0 ? Header.error(from, at) : 0);
        }
      }
    } catch (ConnectionException | SystemCallException _) {
      // Ended in the middle, as this side deserves.
    } finally {
      last.countDown();
    }
  }

  /** The server asks for memory: it gets an answer, a wrong one or none. */
  private void answer(Random own, MemorySegment from, int at) {
    long count = DmaAccess.count(from, at + Header.SIZE);
    int size = Header.SIZE;
    if (Header.command(from, at) == Command.DMA_READ && count <= 1 << 20) {
      size += DmaAccess.SIZE + (int) count;
    }
    DmaAccess.encode(answer, Header.SIZE, DmaAccess.address(from, at + Header.SIZE), count);
    int id = Header.id(from, at);
    int command = Header.command(from, at);
    int flags = Header.TYPE_REPLY;
    switch (own.nextInt(8)) {
      case 0 -> flags |= Header.ERROR;
      case 1 -> id ^= 1;
      case 2 -> size = Math.max(Header.SIZE, size - 1);
      case 3 -> command ^= 1;
      case 4 -> answer.set(ValueLayout.JAVA_LONG, Header.SIZE, -1);
      default -> {}
    }
    if (own.nextInt(16) > 0) {
      Header.encode(answer, 0, id, command, size, flags, 5);
      writer.send(answer, size);
    }
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
