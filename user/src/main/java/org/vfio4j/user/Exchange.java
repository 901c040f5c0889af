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
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.DmaRead;
import org.vfio4j.user.wire.DmaWrite;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Message;
import org.vfio4j.user.wire.MessageException;

/**
 * Commands of a client and the replies to them, matched by id. A thread of its own reads: it hands
 * replies to who waits, and answers what the server asks for.
 */
final class Exchange implements AutoCloseable {
  /** Resetting a device may take its time; everything else is quick. */
  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  private static final int[] NO_DESCRIPTORS = {};
  private static final MemorySegment NO_DATA = MemorySegment.ofArray(new byte[0]);

  private final UnixSocket socket;
  private final MessageWriter writer;
  private final MessageReader reader;
  private final ClientMemory memory = new ClientMemory();
  private final Thread thread;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition answered = lock.newCondition();
  private final Map<Integer, Waiting> waiting = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment out = arena.allocate(Negotiated.CAPACITY, Long.BYTES);
  private int nextId;
  private String ended = "";

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
    thread.start();
  }

  void limit(Negotiated agreed) {
    maxDescriptors = agreed.theirDescriptors();
  }

  ClientMemory memory() {
    return memory;
  }

  Reply call(Message command) {
    return call(command, NO_DATA, 0, 0, NO_DESCRIPTORS);
  }

  Reply call(Message command, int[] descriptors) {
    return call(command, NO_DATA, 0, 0, descriptors);
  }

  Reply call(Message command, MemorySegment data, long at, int count) {
    return call(command, data, at, count, NO_DESCRIPTORS);
  }

  private Reply call(Message command, MemorySegment data, long at, int count, int[] descriptors) {
    Waiting reply = new Waiting();
    lock.lock();
    try {
      if (descriptors.length > maxDescriptors) {
        throw new IllegalArgumentException(
            "too many descriptors for one message: count=%d, max=%d"
                .formatted(descriptors.length, maxDescriptors));
      }
      int id = nextId++ & 0xffff;
      waiting.put(id, reply);
      try {
        send(id, 0, command, data, at, count, descriptors);
        await(command, reply);
      } finally {
        waiting.remove(id, reply);
      }
    } finally {
      lock.unlock();
    }
    int errno = Header.error(reply.bytes, 0);
    if ((Header.flags(reply.bytes, 0) & Header.ERROR) != 0) {
      reply.descriptors.forEach(Descriptor::close);
      throw new ErrorReplyException(command.command(), errno);
    }
    return new Reply(reply.bytes, reply.descriptors);
  }

  void post(Message command, MemorySegment data, long at, int count) {
    lock.lock();
    try {
      int id = nextId++ & 0xffff;
      send(id, Header.NO_REPLY, command, data, at, count, NO_DESCRIPTORS);
    } finally {
      lock.unlock();
    }
  }

  private void send(
      int id, int flags, Message command, MemorySegment data, long at, int count, int[] fds) {
    if (!ended.isEmpty()) {
      throw new ConnectionException(ended);
    }
    int fixed = Header.SIZE + command.length();
    command.encode(out, Header.SIZE);
    MemorySegment.copy(data, at, out, fixed, count);
    Header.encode(out, 0, id, command.command(), fixed + count, flags, 0);
    try {
      writer.send(out, fixed + count, fds, fds.length);
    } catch (SystemCallException e) {
      throw ConnectionException.lost(e);
    }
  }

  private void await(Message command, Waiting reply) {
    long left = TIMEOUT.toNanos();
    while (!reply.done) {
      if (!ended.isEmpty()) {
        throw new ConnectionException(ended);
      }
      if (left <= 0) {
        throw new ConnectionException(
            "no answer to %s in %s".formatted(Command.name(command.command()), TIMEOUT));
      }
      try {
        left = answered.awaitNanos(left);
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
        throw new ConnectionException("interrupted");
      }
    }
  }

  private void run() {
    String why = "the server has closed the connection";
    try (Arena own = Arena.ofConfined()) {
      MemorySegment reply = own.allocate(Negotiated.CAPACITY, Long.BYTES);
      while (reader.next()) {
        MemorySegment in = reader.buffer();
        int at = reader.at();
        switch (Header.flags(in, at) & Header.TYPE) {
          case Header.TYPE_REPLY -> hand(in, at);
          case Header.TYPE_COMMAND -> serve(in, at, reply);
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
      byte[] copy = in.asSlice(at, reader.size()).toArray(ValueLayout.JAVA_BYTE);
      List<Descriptor> descriptors = new ArrayList<>();
      for (int i = 0; i < reader.descriptors(); i++) {
        descriptors.add(reader.take(i));
      }
      reply.bytes = MemorySegment.ofArray(copy);
      reply.descriptors = descriptors;
      reply.done = true;
      answered.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void serve(MemorySegment in, int at, MemorySegment reply) {
    int command = Header.command(in, at);
    int payload = at + Header.SIZE;
    int size = reader.size() - Header.SIZE;
    int flags = Header.TYPE_REPLY;
    int length = Header.SIZE;
    int errno = 0;
    try {
      length += access(command, in, payload, size, reply);
    } catch (MessageException e) {
      flags |= Header.ERROR;
      errno = e.errno().number();
    }
    if ((Header.flags(in, at) & Header.NO_REPLY) == 0) {
      Header.encode(reply, 0, Header.id(in, at), command, length, flags, errno);
      writer.send(reply, length);
    }
  }

  private int access(int command, MemorySegment in, int at, int size, MemorySegment reply) {
    switch (command) {
      case Command.DMA_READ -> {
        DmaRead read = DmaRead.parse(in, at, size);
        if (read.count() < 0 || read.count() > Negotiated.MAX_TRANSFER) {
          throw new MessageException(Errno.E2BIG, "too much at once: count=" + read.count());
        }
        memory.read(read.address(), read.count(), reply, Header.SIZE + DmaAccess.DATA);
        read.encode(reply, Header.SIZE);
        return DmaAccess.SIZE + (int) read.count();
      }
      case Command.DMA_WRITE -> {
        DmaWrite write = DmaWrite.parse(in, at, size);
        memory.write(write.address(), write.count(), in, at + DmaAccess.DATA);
        write.encode(reply, Header.SIZE);
        return DmaAccess.SIZE;
      }
      default -> throw new MessageException("no such command: command=" + command);
    }
  }

  @Override
  public void close() {
    socket.shutdown();
    boolean interrupted = false;
    while (thread.isAlive() && Thread.currentThread() != thread) {
      try {
        thread.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    lock.lock();
    try {
      if (arena.scope().isAlive()) {
        reader.close();
        socket.close();
        arena.close();
      }
    } finally {
      lock.unlock();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
