// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Message;

/**
 * Commands of a client and the replies to them, matched by id. A thread of its own reads: it hands
 * replies to who waits, and what the server asks for to {@link DmaAnswers}.
 */
final class Exchange implements AutoCloseable {
  /** Resetting a device may take its time; everything else is quick. */
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  private static final MemorySegment NO_DATA = MemorySegment.ofArray(new byte[0]);

  private final UnixSocket socket;
  private final MessageWriter writer;
  private final MessageReader reader;
  private final DmaAnswers answers;
  private final Thread thread;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition answered = lock.newCondition();
  private final Map<Integer, Waiting> waiting = new HashMap<>();
  private int nextId;
  private String ended = "";

  /**
   * Covers {@link #out} and is held while a message is sent, which waits for the server to read.
   * The thread that reads never takes it: the server may wait for its own reply to be read first.
   */
  private final Object sending = new Object();

  private final Arena arena = Arena.ofShared();
  private final MemorySegment out = arena.allocate(Negotiated.CAPACITY, Long.BYTES);

  /** The descriptors that the server takes with one message. */
  private int maxDescriptors = 1;

  /** A command under way; the lock covers it. */
  private static final class Waiting {
    boolean done;
    MemorySegment bytes = NO_DATA;
    List<Descriptor> descriptors = List.of();
  }

  /**
   * A reply that is no refusal.
   *
   * @param bytes the whole message, on the heap
   * @param descriptors beside it; the receiver's to close
   */
  record Reply(MemorySegment bytes, List<Descriptor> descriptors) {
    long payload() {
      return bytes.byteSize() - Header.SIZE;
    }
  }

  /** Takes the socket over. */
  Exchange(UnixSocket socket) {
    this.socket = socket;
    writer = new MessageWriter(socket);
    reader = new MessageReader(socket, Negotiated.CAPACITY, Negotiated.CAPACITY);
    thread = new Thread(this::run, "vfio-user client");
    thread.setDaemon(true);
    answers = new DmaAnswers(socket, writer);
    thread.start();
  }

  void limit(Negotiated agreed) {
    maxDescriptors = agreed.theirDescriptors();
  }

  ClientMemory memory() {
    return answers.memory();
  }

  Reply call(Message command) {
    return call(command, NO_DATA, 0, 0, List.of());
  }

  /**
   * Sends a command with descriptors beside it, and waits for its reply.
   *
   * @param descriptors the caller's, who may close them while this waits
   * @throws SystemCallException EBADF if one of them is closed; nothing has been sent then
   */
  Reply call(Message command, List<Descriptor> descriptors) {
    return call(command, NO_DATA, 0, 0, descriptors);
  }

  Reply call(Message command, MemorySegment data, long at, int count) {
    return call(command, data, at, count, List.of());
  }

  private Reply call(
      Message command, MemorySegment data, long at, int count, List<Descriptor> descriptors) {
    if (descriptors.size() > maxDescriptors) {
      throw new IllegalArgumentException(
          "too many descriptors for one message: count=%d, max=%d"
              .formatted(descriptors.size(), maxDescriptors));
    }
    Waiting reply = new Waiting();
    int id = begin(reply);
    boolean taken = false;
    try {
      try (Uses beside = Uses.of(descriptors)) {
        send(id, 0, command, data, at, count, beside);
      }
      await(command, reply);
      taken = true;
    } finally {
      end(id, reply, taken);
    }
    int errno = Header.error(reply.bytes, 0);
    if ((Header.flags(reply.bytes, 0) & Header.ERROR) != 0) {
      reply.descriptors.forEach(Descriptor::close);
      throw new ErrorReplyException(command.command(), errno);
    }
    return new Reply(reply.bytes, reply.descriptors);
  }

  /** From now on a reply is expected. Returns the id of the command that is to be sent. */
  private int begin(Waiting reply) {
    lock.lock();
    try {
      checkGoesOn();
      int id;
      do {
        id = nextId++ & 0xffff;
      } while (waiting.putIfAbsent(id, reply) != null);
      return id;
    } finally {
      lock.unlock();
    }
  }

  /** No reply is expected any more. One that came all the same, and nobody takes, is closed. */
  private void end(int id, Waiting reply, boolean taken) {
    lock.lock();
    try {
      waiting.remove(id, reply);
      if (!taken) {
        reply.descriptors.forEach(Descriptor::close);
      }
    } finally {
      lock.unlock();
    }
  }

  private void checkGoesOn() {
    if (!ended.isEmpty()) {
      throw new ConnectionException(ended);
    }
  }

  void post(Message command, MemorySegment data, long at, int count) {
    int id;
    lock.lock();
    try {
      checkGoesOn();
      do {
        id = nextId++ & 0xffff;
      } while (waiting.containsKey(id));
    } finally {
      lock.unlock();
    }
    send(id, Header.NO_REPLY, command, data, at, count, Uses.NONE);
  }

  private void send(
      int id, int flags, Message command, MemorySegment data, long at, int count, Uses beside) {
    int fixed = Header.SIZE + command.length();
    synchronized (sending) {
      if (!arena.scope().isAlive()) {
        throw new ConnectionException("closed");
      }
      command.encode(out, Header.SIZE);
      MemorySegment.copy(data, at, out, fixed, count);
      Header.encode(out, 0, id, command.command(), fixed + count, flags, 0);
      try {
        writer.send(out, fixed + count, beside);
      } catch (SystemCallException e) {
        throw ConnectionException.lost(e);
      }
    }
  }

  private void await(Message command, Waiting reply) {
    long left = TIMEOUT.toNanos();
    lock.lock();
    try {
      while (!reply.done) {
        checkGoesOn();
        if (left <= 0) {
          throw new ConnectionException(
              "no answer to %s in %s".formatted(Command.name(command.command()), TIMEOUT));
        }
        left = answered.awaitNanos(left);
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new ConnectionException("interrupted");
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    String why = "the server has closed the connection";
    try {
      while (reader.next()) {
        MemorySegment in = reader.buffer();
        int at = reader.at();
        switch (Header.flags(in, at) & Header.TYPE) {
          case Header.TYPE_REPLY -> hand(in, at);
          case Header.TYPE_COMMAND -> answers.add(message(in, at));
          default -> throw new ConnectionException("message of unknown type");
        }
      }
    } catch (ConnectionException e) {
      why = e.reason();
    } catch (SystemCallException e) {
      why = ConnectionException.describe(e);
    } finally {
      lock.lock();
      try {
        ended = why;
        answered.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  private void hand(MemorySegment in, int at) {
    lock.lock();
    try {
      Waiting reply = waiting.remove(Header.id(in, at));
      if (reply == null) {
        return;
      }
      List<Descriptor> descriptors = new ArrayList<>();
      for (int i = 0; i < reader.descriptors(); i++) {
        descriptors.add(reader.take(i));
      }
      reply.bytes = MemorySegment.ofArray(message(in, at));
      reply.descriptors = descriptors;
      reply.done = true;
      answered.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private byte[] message(MemorySegment in, int at) {
    return in.asSlice(at, reader.size()).toArray(ValueLayout.JAVA_BYTE);
  }

  @Override
  public void close() {
    socket.shutdown();
    answers.end();
    boolean interrupted = false;
    while (thread.isAlive() || answers.isAlive()) {
      try {
        thread.join();
        answers.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    synchronized (sending) {
      if (arena.scope().isAlive()) {
        reader.close();
        socket.close();
        arena.close();
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
