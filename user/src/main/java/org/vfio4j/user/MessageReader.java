// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.user.wire.Header;

/**
 * Cuts what comes over a socket into messages, with the descriptors that belong to each. One system
 * call may bring many messages; none makes an object. For one thread.
 *
 * <p>The kernel ends a {@code recvmsg} behind the bytes of the {@code sendmsg} that carried
 * descriptors, but begins it with what was sent before without any. So descriptors belong to the
 * message that has the last of the bytes they came with.
 */
final class MessageReader implements AutoCloseable {
  /** Descriptors of messages that are not complete yet. More of them are a broken protocol. */
  private static final int MAX_HELD = 2 * UnixSocket.MAX_DESCRIPTORS;

  private final UnixSocket socket;
  private final Consumer<Descriptor> closer;
  private final int capacity;
  private final Optional<Arena> arena;
  private final MemorySegment buffer;

  /** Where the current message is; {@code size} is 0 between two of them. */
  private int start;

  private int size;

  /** Behind the last byte received. */
  private int end;

  private int limit;

  /** How long the first message may take, and until when that is; 0 for any other. */
  private long millis;

  private long deadline;

  private final @Nullable Descriptor[] held = new @Nullable Descriptor[MAX_HELD];

  /** Behind the last byte that each came with. */
  private final int[] heldEnds = new int[MAX_HELD];

  private int heldCount;

  /** The first so many of them belong to the current message. */
  private int owned;

  private boolean exact;

  /** The current message is still in the socket. */
  private boolean peeked;

  /**
   * A reader that refuses messages above a limit.
   *
   * @param capacity the highest limit there will be
   */
  @SuppressWarnings("MustBeClosed") // The reader's, which closes it.
  MessageReader(UnixSocket socket, int capacity, int limit) {
    this(socket, Arena.ofShared(), capacity, limit);
  }

  private MessageReader(UnixSocket socket, Arena arena, int capacity, int limit) {
    this.socket = socket;
    this.closer = Descriptor::close;
    this.arena = Optional.of(arena);
    this.limit = limit;
    buffer = arena.allocate(capacity, Long.BYTES);
    this.capacity = capacity;
  }

  /**
   * A reader of what strangers send.
   *
   * @param buffer where messages go, as many bytes as the highest limit there will be; the caller's
   * @param closer closes descriptors that nobody took
   */
  MessageReader(UnixSocket socket, MemorySegment buffer, int limit, Consumer<Descriptor> closer) {
    this.socket = socket;
    this.closer = closer;
    this.arena = Optional.empty();
    this.limit = limit;
    this.buffer = buffer;
    capacity = Math.toIntExact(buffer.byteSize());
  }

  /** From the next message on: bytes of a message at most, its header included. */
  void limit(int bytes) {
    limit = Objects.checkIndex(bytes, capacity + 1);
  }

  /**
   * From the next message on each is looked at, and stays in the socket until {@link #consume};
   * none of the bytes behind it is taken. One of which only a part has come is taken all the same.
   */
  void exact() {
    exact = true;
  }

  /** Takes the current message from the socket, if it is there still. It stays in the buffer. */
  void consume() {
    int at = start;
    while (peeked && at < start + size) {
      // The same bytes again: nobody can change what is queued.
      long taken = socket.receiveBytes(buffer, at, (long) start + size - at);
      at += (int) taken;
      peeked = taken > 0;
    }
    peeked = false;
  }

  /** Holds the current message, at {@link #at}. */
  MemorySegment buffer() {
    return buffer;
  }

  /** Where the current message begins. Not aligned. */
  int at() {
    return start;
  }

  /** Bytes of the current message, its header included. */
  int size() {
    return size;
  }

  /** Bytes of messages after the current one that are here. */
  int ahead() {
    return end - start - size;
  }

  /**
   * Gives up the current message with what nobody took of its descriptors, and waits for the next.
   *
   * @return whether there is one; no if the other side has closed between two messages
   * @throws ConnectionException if it has closed within one, or what comes cannot be a message
   */
  boolean next() {
    consume();
    drop();
    if (exact && start == end && peek()) {
      return true;
    }
    while (true) {
      int have = end - start;
      int wanted = have < Header.SIZE ? Header.SIZE : sizeAt(start);
      if (have >= Header.SIZE && wanted <= have) {
        size = wanted;
        claim();
        return true;
      }
      if (!receive(have, exact ? wanted - have : capacity)) {
        return false;
      }
    }
  }

  private int sizeAt(int at) {
    int wanted = Header.size(buffer, at);
    if (wanted < Header.SIZE || wanted > limit) {
      throw new ConnectionException(
          "message of impossible size: size=%d, max=%d"
              .formatted(Integer.toUnsignedLong(wanted), limit));
    }
    return wanted;
  }

  /**
   * Looks at the next message; false if it is not all there, or none will come. A look ends behind
   * the first bytes that have descriptors, unless the buffer is full before: then Linux has looked
   * one piece too far, and nobody knows whose the descriptors are.
   */
  private boolean peek() {
    awaitFirst(0);
    int there;
    try {
      there = (int) socket.peek(buffer, 0, capacity);
    } catch (SystemCallException e) {
      if (e.errno() != ErrnoNames.ECONNRESET) {
        throw e;
      }
      return false;
    }
    // A close may wait for ever where it is, say, a file of FUSE's: none is left to the socket.
    end = there;
    hold();
    boolean all = there >= Header.SIZE && there < capacity && sizeAt(0) <= there;
    end = all ? sizeAt(0) : 0;
    if (end < there) {
      // Duplicates of what a later message brings again.
      release(heldCount);
    }
    size = end;
    peeked = all;
    claim();
    return all;
  }

  /**
   * As {@link #next}, for the first message, within a time.
   *
   * @param within at least a millisecond
   * @throws ConnectionException also if the message is not complete by then
   */
  boolean first(Duration within) {
    millis = within.toMillis();
    deadline = System.nanoTime() + within.toNanos();
    boolean any = next();
    millis = 0;
    return any;
  }

  private void drop() {
    if (owned > 0) {
      release(owned);
      owned = 0;
    }
    start += size;
    size = 0;
    if (start == end) {
      start = 0;
      end = 0;
    }
  }

  private boolean receive(int have, int most) {
    if (end == capacity || capacity - start < limit) {
      compact();
    }
    awaitFirst(have);
    long received;
    try {
      received = socket.receive(buffer, end, Math.min(most, capacity - end));
    } catch (SystemCallException e) {
      if (e.errno() != ErrnoNames.ECONNRESET) {
        throw e;
      }
      received = 0;
    }
    if (received == 0) {
      if (have > 0) {
        throw new ConnectionException("closed within a message: %d bytes of it".formatted(have));
      }
      return false;
    }
    end += (int) received;
    if (socket.descriptors() > 0) {
      hold();
    }
    return true;
  }

  private void awaitFirst(int have) {
    if (millis > 0 && !socket.awaitUntil(deadline)) {
      throw new ConnectionException(
          "no first message within %d ms: %d bytes of it".formatted(millis, have));
    }
  }

  private void compact() {
    if (start == 0) {
      return;
    }
    MemorySegment.copy(buffer, start, buffer, 0, end - start);
    for (int i = 0; i < heldCount; i++) {
      heldEnds[i] -= start;
    }
    end -= start;
    start = 0;
  }

  /** The next receive would close them: takes them over now. */
  private void hold() {
    int count = socket.descriptors();
    if (heldCount + count > MAX_HELD) {
      throw new ConnectionException(
          "too many descriptors: count=%d, max=%d".formatted(heldCount + count, MAX_HELD));
    }
    for (int i = 0; i < count; i++) {
      held[heldCount] = socket.takeDescriptor(i, "a descriptor of the peer");
      heldEnds[heldCount] = end;
      heldCount++;
    }
  }

  private void claim() {
    while (owned < heldCount && heldEnds[owned] <= start + size) {
      owned++;
    }
  }

  /** Descriptors of the current message, also those that were taken. */
  int descriptors() {
    return owned;
  }

  /**
   * Takes one over.
   *
   * @param index below {@link #descriptors}, not taken yet
   */
  Descriptor take(int index) {
    Descriptor taken = Objects.requireNonNull(held[Objects.checkIndex(index, owned)]);
    held[index] = null;
    return taken;
  }

  /** Closes one of the current message, which its taker has no use for. */
  void discard(Descriptor descriptor) {
    closer.accept(descriptor);
  }

  /** Closes the first so many, and moves the others up. */
  private void release(int count) {
    for (int i = 0; i < heldCount; i++) {
      Descriptor descriptor = held[i];
      held[i] = null;
      if (i >= count) {
        held[i - count] = descriptor;
        heldEnds[i - count] = heldEnds[i];
      } else if (descriptor != null) {
        closer.accept(descriptor);
      }
    }
    heldCount -= count;
  }

  /** Closes what came and nobody took; the socket is the caller's. */
  @Override
  public void close() {
    release(heldCount);
    owned = 0;
    arena.ifPresent(Arena::close);
  }
}
