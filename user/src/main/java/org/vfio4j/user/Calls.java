// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.device.RemoteMemory;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.DmaAccess;
import org.vfio4j.user.wire.Header;

/**
 * The commands of a server to its client: memory that came without a descriptor is read and written
 * by asking. Threads of the device wait here; the thread that serves the client brings the replies,
 * in whatever order, and meanwhile serves commands.
 */
final class Calls implements RemoteMemory, AutoCloseable {
  private static final String GONE = "the client has gone";
  private static final byte[] NO_BYTES = {};

  /** Bytes of a message without data. */
  private static final int FIXED = Header.SIZE + DmaAccess.SIZE;

  private final MessageWriter writer;
  private final int maxTransfer;
  private final long timeoutNanos;
  private final Thread server;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition answered = lock.newCondition();
  private final Map<Integer, Call> waiting = new HashMap<>();
  private int nextId;
  private boolean closed;

  /**
   * Covers {@link #out} and is held while a message is sent, which can wait for the client to read.
   * The thread that reads from the client never takes it: if it did, and the client waited for its
   * own message to be read first, both would wait for ever.
   */
  private final Object sending = new Object();

  /** Made when it is needed first: QEMU hands over its memory, and is never asked for any. */
  private @Nullable Arena arena;

  private MemorySegment out = MemorySegment.NULL;
  private boolean ended;

  /** One command that waits for its reply; the lock covers what is not final. */
  private static final class Call {
    final int command;
    final long iova;
    final int count;

    /** Where a reply's data goes: the caller's segment may be one that only its thread can use. */
    final byte[] bytes;

    boolean done;
    String failure = "";

    Call(int command, long iova, int count, byte[] bytes) {
      this.command = command;
      this.iova = iova;
      this.count = count;
      this.bytes = bytes;
    }
  }

  /**
   * Calls to one client.
   *
   * @param maxTransfer bytes of data in one message
   * @param first id; who goes on with a connection takes one that replies under way do not have
   * @param server the thread that reads from the client, which must not wait for it here
   */
  Calls(MessageWriter writer, int maxTransfer, int first, Duration timeout, Thread server) {
    this.writer = writer;
    nextId = first;
    this.maxTransfer = maxTransfer;
    this.timeoutNanos = timeout.toNanos();
    this.server = server;
  }

  @Override
  public void read(long iova, MemorySegment target, long offset, long count) {
    transfer(Command.DMA_READ, iova, target, offset, count);
  }

  @Override
  public void write(long iova, MemorySegment source, long offset, long count) {
    transfer(Command.DMA_WRITE, iova, source, offset, count);
  }

  private void transfer(int command, long iova, MemorySegment memory, long offset, long count) {
    if (Thread.currentThread() == server) {
      throw failed(command, iova, "asked by the thread that would have to bring the answer");
    }
    if (maxTransfer == 0) {
      throw failed(command, iova, "the client takes no data");
    }
    boolean read = command == Command.DMA_READ;
    byte[] bytes = read ? new byte[(int) Math.min(count, maxTransfer)] : NO_BYTES;
    for (long done = 0; done < count; ) {
      int some = (int) Math.min(count - done, maxTransfer);
      call(new Call(command, iova + done, some, bytes), memory, offset + done);
      if (read) {
        MemorySegment.copy(MemorySegment.ofArray(bytes), 0, memory, offset + done, some);
      }
      done += some;
    }
  }

  private void call(Call call, MemorySegment memory, long offset) {
    int id = begin(call);
    try {
      send(id, call, memory, offset);
      await(call);
    } finally {
      lock.lock();
      try {
        waiting.remove(id, call);
      } finally {
        lock.unlock();
      }
    }
  }

  /** From now on a reply is expected. Returns the id of the command that is to be sent. */
  private int begin(Call call) {
    lock.lock();
    try {
      if (closed) {
        throw failed(call.command, call.iova, GONE);
      }
      int id;
      do {
        id = nextId++ & 0xffff;
      } while (waiting.putIfAbsent(id, call) != null);
      return id;
    } finally {
      lock.unlock();
    }
  }

  @SuppressWarnings("MustBeClosed") // Made at the first command, closed with the connection.
  private void send(int id, Call call, MemorySegment memory, long offset) {
    boolean write = call.command == Command.DMA_WRITE;
    int size = FIXED + (write ? call.count : 0);
    synchronized (sending) {
      if (ended) {
        throw failed(call.command, call.iova, GONE);
      }
      if (arena == null) {
        arena = Arena.ofShared();
        out = arena.allocate(FIXED + maxTransfer, Long.BYTES);
      }
      Header.encode(out, 0, id, call.command, size, Header.TYPE_COMMAND, 0);
      DmaAccess.encode(out, Header.SIZE, call.iova, call.count);
      if (write) {
        MemorySegment.copy(memory, offset, out, FIXED, call.count);
      }
      try {
        writer.send(out, size);
      } catch (SystemCallException e) {
        throw failed(call.command, call.iova, ConnectionException.describe(e));
      }
    }
  }

  private void await(Call call) {
    long left = timeoutNanos;
    boolean interrupted = false;
    lock.lock();
    try {
      while (!call.done && left > 0 && !closed) {
        try {
          left = answered.awaitNanos(left);
        } catch (InterruptedException _) {
          // The device's thread is told to stop: the reply would find nobody.
          interrupted = true;
          break;
        }
      }
      if (!call.done) {
        throw failed(call.command, call.iova, interrupted ? "interrupted" : unanswered());
      }
      if (!call.failure.isEmpty()) {
        throw failed(call.command, call.iova, call.failure);
      }
    } finally {
      lock.unlock();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private String unanswered() {
    return closed ? GONE : "no answer in " + TimeUnit.NANOSECONDS.toMillis(timeoutNanos) + " ms";
  }

  private static VfioException failed(int command, long iova, String why) {
    return new VfioException(
        Errno.EIO,
        Reason.BAD_ADDRESS,
        "%s at IOVA 0x%x: %s".formatted(Command.name(command), iova, why));
  }

  /**
   * A reply of the client.
   *
   * @return whether anybody waited for it
   */
  boolean answer(MemorySegment from, int at, int size) {
    lock.lock();
    try {
      Call call = waiting.remove(Header.id(from, at));
      if (call == null) {
        return false;
      }
      if (call.command != Header.command(from, at)) {
        call.failure = "answered as " + Command.name(Header.command(from, at));
      } else if ((Header.flags(from, at) & Header.ERROR) != 0) {
        call.failure = "the client answered errno " + Header.error(from, at);
      } else if (call.command == Command.DMA_READ) {
        accept(call, from, at, size);
      }
      call.done = true;
      answered.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** A reply to a write says no more than its header: QEMU's is nothing else. */
  private static void accept(Call call, MemorySegment from, int at, int size) {
    int payload = at + Header.SIZE;
    if (size != FIXED + call.count
        || DmaAccess.address(from, payload) != call.iova
        || DmaAccess.count(from, payload) != call.count) {
      call.failure = "answered with other bytes than it was asked for";
      return;
    }
    MemorySegment.copy(
        from, ValueLayout.JAVA_BYTE, payload + DmaAccess.DATA, call.bytes, 0, call.count);
  }

  /** Nobody answers any more: who waits fails with EIO. */
  void end() {
    lock.lock();
    try {
      closed = true;
      answered.signalAll();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    end();
    synchronized (sending) {
      ended = true;
      if (arena != null) {
        arena.close();
        arena = null;
      }
    }
  }
}
