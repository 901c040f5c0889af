// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
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
  /** Bytes of a message without data. */
  private static final int FIXED = Header.SIZE + DmaAccess.SIZE;

  private final MessageWriter writer;
  private final int maxTransfer;
  private final long timeoutNanos;
  private final Thread server;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition answered = lock.newCondition();
  private final Map<Integer, Call> waiting = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment out;
  private int nextId;
  private boolean closed;

  /** One command that waits for its reply; the lock covers it. */
  private static final class Call {
    final int command;
    final long iova;
    final int count;
    final MemorySegment target;
    final long offset;
    boolean done;
    String failure = "";

    Call(int command, long iova, int count, MemorySegment target, long offset) {
      this.command = command;
      this.iova = iova;
      this.count = count;
      this.target = target;
      this.offset = offset;
    }
  }

  /**
   * Calls to one client.
   *
   * @param maxTransfer bytes of data in one message
   * @param server the thread that reads from the client, which must not wait for it here
   */
  Calls(MessageWriter writer, int maxTransfer, Duration timeout, Thread server) {
    this.writer = writer;
    this.maxTransfer = maxTransfer;
    this.timeoutNanos = timeout.toNanos();
    this.server = server;
    out = arena.allocate(FIXED + maxTransfer, Long.BYTES);
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
    for (long done = 0; done < count; ) {
      int some = (int) Math.min(count - done, maxTransfer);
      call(new Call(command, iova + done, some, memory, offset + done));
      done += some;
    }
  }

  private void call(Call call) {
    lock.lock();
    try {
      if (closed) {
        throw failed(call.command, call.iova, "the client has gone");
      }
      int id = send(call);
      try {
        await(call);
      } finally {
        waiting.remove(id, call);
      }
    } finally {
      lock.unlock();
    }
  }

  private int send(Call call) {
    int id = nextId++ & 0xffff;
    boolean write = call.command == Command.DMA_WRITE;
    int size = FIXED + (write ? call.count : 0);
    Header.encode(out, 0, id, call.command, size, Header.TYPE_COMMAND, 0);
    DmaAccess.encode(out, Header.SIZE, call.iova, call.count);
    if (write) {
      MemorySegment.copy(call.target, call.offset, out, FIXED, call.count);
    }
    waiting.put(id, call);
    try {
      writer.send(out, size);
    } catch (SystemCallException e) {
      waiting.remove(id, call);
      throw failed(call.command, call.iova, ConnectionException.describe(e));
    }
    return id;
  }

  private void await(Call call) {
    long left = timeoutNanos;
    boolean interrupted = false;
    while (!call.done && left > 0 && !closed) {
      try {
        left = answered.awaitNanos(left);
      } catch (InterruptedException _) {
        // The device's thread is told to stop: the reply would find nobody.
        interrupted = true;
        break;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (!call.done) {
      String why =
          interrupted
              ? "interrupted"
              : closed
                  ? "the client has gone"
                  : "no answer in " + TimeUnit.NANOSECONDS.toMillis(timeoutNanos) + " ms";
      throw failed(call.command, call.iova, why);
    }
    if (!call.failure.isEmpty()) {
      throw failed(call.command, call.iova, call.failure);
    }
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
    MemorySegment.copy(from, payload + DmaAccess.DATA, call.target, call.offset, call.count);
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
    lock.lock();
    try {
      waiting.clear();
      if (arena.scope().isAlive()) {
        arena.close();
      }
    } finally {
      lock.unlock();
    }
  }
}
