// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A pipe in which a message waits until the kernel moves it on to a socket ({@code splice(2)}). Who
 * has the pipe after its process has died can tell by it whether the message was sent: it is there,
 * or it is not. For one thread.
 */
public final class Outbox implements AutoCloseable {
  /** Bytes of a message at most: the kernel gives a user who has many pipes a page for each. */
  public static final int CAPACITY = 4096;

  private final Descriptor readEnd;
  private final Descriptor writeEnd;

  private Outbox(Descriptor readEnd, Descriptor writeEnd) {
    this.readEnd = readEnd;
    this.writeEnd = writeEnd;
  }

  /**
   * An empty one.
   *
   * @throws SystemCallException EMFILE, ENFILE
   */
  public static Outbox create(SystemCalls calls) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pair = arena.allocate(ValueLayout.JAVA_INT, 2);
      SystemCallException.check(calls.pipe(pair, Constants.O_CLOEXEC), "pipe");
      return new Outbox(
          new Descriptor(calls, pair.getAtIndex(ValueLayout.JAVA_INT, 0), "pipe to read"),
          new Descriptor(calls, pair.getAtIndex(ValueLayout.JAVA_INT, 1), "pipe to write"));
    }
  }

  /** The one that another process has made; takes both ends over. */
  public static Outbox of(Descriptor readEnd, Descriptor writeEnd) {
    return new Outbox(readEnd, writeEnd);
  }

  /** What it is read from, which stays this object's. */
  public Descriptor readEnd() {
    return readEnd;
  }

  /** What it is written to, which stays this object's. */
  public Descriptor writeEnd() {
    return writeEnd;
  }

  /** Bytes that wait in it. */
  public int waiting() {
    try (Descriptor.Use use = readEnd.use();
        Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
      int result = readEnd.calls().ioctl(use.number(), Constants.FIONREAD, count.address());
      SystemCallException.check(result, "ioctl FIONREAD");
      return count.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /**
   * Puts a message in.
   *
   * @param message off-heap
   * @param size bytes, {@link #CAPACITY} at most, with nothing waiting
   */
  public void put(MemorySegment message, int size) {
    if (size > CAPACITY) {
      throw new IllegalArgumentException("%d bytes, %d at most".formatted(size, CAPACITY));
    }
    long written;
    try (Descriptor.Use use = writeEnd.use()) {
      do {
        written = writeEnd.calls().write(use.number(), message, size);
      } while (written == -ErrnoNames.EINTR);
    }
    if (written != size) {
      throw new SystemCallException("write to " + writeEnd.name(), (int) -written);
    }
  }

  /**
   * Sends what waits. Waits while the other side does not read.
   *
   * @param size bytes that wait
   * @throws SystemCallException EPIPE or ECONNRESET if the other side has gone
   */
  public void send(UnixSocket to, int size) {
    long left = size;
    try (Descriptor.Use from = readEnd.use();
        Descriptor.Use socket = to.descriptor().use()) {
      while (left > 0) {
        long moved = readEnd.calls().splice(from.number(), socket.number(), left, 0);
        if (moved > 0) {
          left -= moved;
        } else if (moved != -ErrnoNames.EINTR) {
          throw new SystemCallException("send to " + to.descriptor().name(), (int) -moved);
        }
      }
    }
  }

  @Override
  public void close() {
    readEnd.close();
    writeEnd.close();
  }
}
