// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.function.BiConsumer;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;

/**
 * Answers for a command that takes longer than its client waits. QEMU takes a reply with a body
 * that comes after it has given up for the beginning of something else, and never finds its way
 * back; a bare error it forgets. So near the end of the client's patience the command is answered
 * with an error, by a thread of this class, and its real reply is never sent.
 *
 * <p>Who is late with one command is late with those that came meanwhile too. Nobody knows when
 * they came. But what is in the queue when a command is done has come since the command before it
 * was, and what is not has come later: so the time of each counts from the latest such moment. What
 * was waited for has come when the wait ended.
 */
final class LateAnswers implements AutoCloseable {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  /** Of the client's patience, in tenths: the rest is for the way there. */
  private static final int TENTHS = 8;

  private final MessageWriter writer;
  private final String name;
  private final long limit;
  private final BiConsumer<Integer, Integer> told;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment error = arena.allocate(Header.SIZE, Long.BYTES);
  private final Thread thread;

  /** Before this nothing came that is not in the queue of {@link #queued} bytes. */
  private long marked;

  /** Bytes of messages that came between {@link #since} and {@link #marked}. */
  private long queued;

  private long since;
  private long deadline;
  private boolean open;
  private boolean closed;
  private int id;
  private int command;

  /**
   * Begins to watch over a client's commands.
   *
   * @param patience how long the client waits for an answer
   * @param from before this nothing came that was not answered, of {@link System#nanoTime}
   * @param told of each command that is answered here, before it is: its id and its number
   */
  LateAnswers(
      MessageWriter writer,
      String name,
      Duration patience,
      long from,
      BiConsumer<Integer, Integer> told) {
    this.writer = writer;
    this.told = told;
    marked = from;
    since = from;
    this.name = name;
    limit = patience.toNanos() / 10 * TENTHS;
    thread = Thread.ofPlatform().daemon().name(name + " late answers").start(this::watch);
  }

  /**
   * A command is done, or none has come yet.
   *
   * @param waiting bytes of messages that have come meanwhile
   */
  synchronized void done(long waiting) {
    if (queued <= 0) {
      since = marked;
      queued = waiting;
      marked = System.nanoTime();
    }
  }

  /** What comes next was waited for, and has come now. */
  synchronized void arrived() {
    marked = System.nanoTime();
  }

  /** A command is served from now on, and wants a reply. {@link #taken} follows when it is done. */
  synchronized void begin(int commandId, int commandNumber) {
    id = commandId;
    command = commandNumber;
    open = true;
    deadline = (queued > 0 ? since : marked) + limit;
    if (deadline - System.nanoTime() <= 0) {
      answer();
    } else {
      notifyAll();
    }
  }

  /** A message of so many bytes has been taken from the queue. */
  synchronized void taken(int bytes) {
    queued -= bytes;
  }

  /**
   * The command is done.
   *
   * @return whether its reply is to be sent: nothing else was sent for it
   */
  synchronized boolean claim() {
    boolean mine = open;
    open = false;
    return mine;
  }

  private synchronized void watch() {
    try {
      while (!closed) {
        long left = deadline - System.nanoTime();
        if (!open) {
          wait();
        } else if (left > 0) {
          wait(left / 1_000_000, (int) (left % 1_000_000));
        } else {
          answer();
        }
      }
    } catch (InterruptedException _) {
      // Nobody interrupts it but who ends the process.
    }
  }

  private synchronized void answer() {
    open = false;
    LOG.log(
        Level.WARNING,
        "%s: %s takes longer than its client waits: answered with an error, and not again"
            .formatted(name, Command.name(command)));
    int flags = Header.TYPE_REPLY | Header.ERROR;
    int errno = Errno.ETIMEDOUT.number();
    Header.encode(error, 0, id, command, Header.SIZE, flags, errno);
    try {
      told.accept(id, command);
      writer.send(error, Header.SIZE);
    } catch (SystemCallException gone) {
      LOG.log(Level.DEBUG, "{0}: nobody to answer: {1}", name, gone.getMessage());
    }
  }

  /** Nobody is answered any more. */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      open = false;
      notifyAll();
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    arena.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
