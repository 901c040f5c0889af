// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/**
 * A connected stream socket of the local machine that carries descriptors beside bytes. Sending and
 * receiving allocate nothing. One thread may send while another receives, not two of a kind; {@link
 * #shutdown} may be called by any thread and ends what the others wait for.
 */
public final class UnixSocket implements AutoCloseable {
  /** Descriptors that can be sent with one message. */
  public static final int MAX_DESCRIPTORS = 64;

  /**
   * Descriptors that can come with one message: the kernel's limit ({@code SCM_MAX_FD}). With less
   * room the kernel would close those beyond it while this side receives, which can wait for ever
   * ({@link DescriptorKind#OTHER}).
   */
  private static final int MAX_RECEIVED = 253;

  private static final int CONTROL_HEADER = 16;
  private static final int CONTROL_SIZE = CONTROL_HEADER + 4 * MAX_RECEIVED + 4;

  private final Descriptor descriptor;

  /** Not a shared one: ending that stops all threads of the process for a moment. */
  private final Arena arena = Arena.ofAuto();

  private final Message out = new Message(arena);
  private final Message in = new Message(arena);
  private final Poll poll;
  private final int[] received = new int[MAX_RECEIVED];
  private int receivedCount;

  /** {@code struct msghdr} with one {@code struct iovec} and room for descriptors. */
  private static final class Message {
    private static final int IOV = 16;
    private static final int IOV_COUNT = 24;
    private static final int CONTROL = 32;
    private static final int CONTROL_LENGTH = 40;
    private static final int FLAGS = 48;

    final MemorySegment header;
    final MemorySegment vector;
    final MemorySegment control;

    Message(Arena arena) {
      header = arena.allocate(56, 8);
      vector = arena.allocate(16, 8);
      control = arena.allocate(CONTROL_SIZE, 8);
      header.set(ValueLayout.JAVA_LONG, IOV, vector.address());
      header.set(ValueLayout.JAVA_LONG, IOV_COUNT, 1);
    }

    void prepare(MemorySegment buffer, long offset, long length, long controlLength) {
      vector.set(ValueLayout.JAVA_LONG, 0, buffer.address() + offset);
      vector.set(ValueLayout.JAVA_LONG, 8, length);
      header.set(ValueLayout.JAVA_LONG, CONTROL, controlLength == 0 ? 0 : control.address());
      header.set(ValueLayout.JAVA_LONG, CONTROL_LENGTH, controlLength);
      header.set(ValueLayout.JAVA_INT, FLAGS, 0);
    }
  }

  UnixSocket(Descriptor descriptor) {
    this.descriptor = descriptor;
    poll = new Poll(descriptor, arena, Constants.POLLIN);
  }

  /**
   * Takes over a connected socket, say one of a pair or one that came over another socket.
   *
   * @param descriptor the socket, which this object closes from now on
   */
  public static UnixSocket of(Descriptor descriptor) {
    return new UnixSocket(descriptor);
  }

  /**
   * Connects to who listens at a path.
   *
   * @throws SystemCallException ENOENT without a socket there, ECONNREFUSED if nobody listens,
   *     EACCES
   * @throws IllegalArgumentException if the path is longer than a socket's can be
   */
  public static UnixSocket connect(SystemCalls calls, Path path) {
    return connect(calls, path, Constants.SOCK_STREAM);
  }

  /** The same where whole messages are read, each with what was sent beside it. */
  static UnixSocket datagrams(SystemCalls calls, Path path) {
    return connect(calls, path, Constants.SOCK_DGRAM);
  }

  private static UnixSocket connect(SystemCalls calls, Path path, int type) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = UnixAddress.of(arena, path);
      Descriptor socket = ofType(calls, type, path.toString());
      int result;
      try (Descriptor.Use use = socket.use()) {
        do {
          result = calls.connect(use.number(), address, (int) address.byteSize());
        } while (result == -ErrnoNames.EINTR);
      }
      if (result < 0) {
        socket.close();
        throw new SystemCallException("connect to " + path, -result);
      }
      return new UnixSocket(socket);
    }
  }

  /** Two that are connected to each other. */
  static UnixSocket[] pair(SystemCalls calls) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pair = arena.allocate(ValueLayout.JAVA_INT, 2);
      int type = Constants.SOCK_STREAM | Constants.SOCK_CLOEXEC;
      int result = calls.socketpair(Constants.AF_UNIX, type, 0, pair);
      SystemCallException.check(result, "socketpair");
      UnixSocket[] both = new UnixSocket[2];
      for (int n = 0; n < 2; n++) {
        int fd = pair.getAtIndex(ValueLayout.JAVA_INT, n);
        both[n] = new UnixSocket(new Descriptor(calls, fd, "one of a pair"));
      }
      return both;
    }
  }

  static Descriptor ofType(SystemCalls calls, int type, String name) {
    int fd = calls.socket(Constants.AF_UNIX, type | Constants.SOCK_CLOEXEC, 0);
    return new Descriptor(calls, SystemCallException.check(fd, "socket"), name);
  }

  /** Who is at the other end, as of when it connected. */
  public Credentials peer() {
    try (Arena local = Arena.ofConfined()) {
      MemorySegment value = local.allocate(12, 4);
      MemorySegment length = local.allocateFrom(ValueLayout.JAVA_INT, 12);
      int result;
      try (Descriptor.Use use = descriptor.use()) {
        result =
            descriptor
                .calls()
                .getsockopt(
                    use.number(), Constants.SOL_SOCKET, Constants.SO_PEERCRED, value, length);
      }
      SystemCallException.check(result, "getsockopt SO_PEERCRED");
      return new Credentials(
          value.get(ValueLayout.JAVA_INT, 0),
          value.get(ValueLayout.JAVA_INT, 4),
          value.get(ValueLayout.JAVA_INT, 8));
    }
  }

  /** Sends all of it, with no descriptor; see {@link #send(MemorySegment, long, long, Uses)}. */
  public void send(MemorySegment buffer, long offset, long length) {
    send(buffer, offset, length, Uses.NONE);
  }

  /**
   * Sends all of it, with descriptors beside its first byte. Waits while the peer's queue is full.
   *
   * @param buffer off-heap
   * @param offset of the first byte
   * @param length bytes, above 0
   * @param beside what is sent along, {@link #MAX_DESCRIPTORS} at most; the uses stay the caller's
   *     to end
   * @throws SystemCallException EPIPE or ECONNRESET if the peer has gone
   */
  public void send(MemorySegment buffer, long offset, long length, Uses beside) {
    int[] numbers = beside.numbers();
    if (numbers.length > MAX_DESCRIPTORS) {
      throw new IllegalArgumentException(
          "too many descriptors: count=%d, max=%d".formatted(numbers.length, MAX_DESCRIPTORS));
    }
    long control = attach(numbers);
    try (Descriptor.Use use = descriptor.use()) {
      send(use.number(), buffer, offset, length, control);
    }
  }

  private void send(int fd, MemorySegment buffer, long offset, long length, long control) {
    SystemCalls calls = descriptor.calls();
    long sent = 0;
    while (sent < length) {
      long result;
      if (sent == 0 && control > 0) {
        out.prepare(buffer, offset, length, control);
        result = calls.sendmsg(fd, out.header, Constants.MSG_NOSIGNAL);
      } else {
        // A tenth of a microsecond less than sendmsg.
        long address = buffer.address() + offset + sent;
        result = calls.send(fd, address, length - sent, Constants.MSG_NOSIGNAL);
      }
      if (result >= 0) {
        sent += result;
      } else if (result != -ErrnoNames.EINTR) {
        throw new SystemCallException("send to " + descriptor.name(), (int) -result);
      }
    }
  }

  private long attach(int[] numbers) {
    if (numbers.length == 0) {
      return 0;
    }
    long length = CONTROL_HEADER + 4L * numbers.length;
    out.control.set(ValueLayout.JAVA_LONG, 0, length);
    out.control.set(ValueLayout.JAVA_INT, 8, Constants.SOL_SOCKET);
    out.control.set(ValueLayout.JAVA_INT, 12, Constants.SCM_RIGHTS);
    for (int i = 0; i < numbers.length; i++) {
      out.control.set(ValueLayout.JAVA_INT, CONTROL_HEADER + 4L * i, numbers[i]);
    }
    // The space of a control message is a multiple of 8; its length is not.
    return (length + 7) & ~7;
  }

  /**
   * Waits for bytes, and for the descriptors that come with them. Those not taken by {@link
   * #takeDescriptor} are closed by the next call.
   *
   * @param buffer off-heap
   * @param offset where the first byte goes
   * @param length bytes at most, above 0
   * @return bytes received, at least 1; 0 if the peer has closed
   * @throws SystemCallException ECONNRESET if the peer has gone with bytes of ours unread; EAGAIN
   *     if the socket does not block
   */
  public long receive(MemorySegment buffer, long offset, long length) {
    return receive(buffer, offset, length, CONTROL_SIZE, 0);
  }

  /**
   * Looks at the first bytes that wait, which stay there with their descriptors. Waits until there
   * is one, but not for all of them. {@link #takeDescriptor} takes duplicates. They came with the
   * last of the bytes if these are fewer than {@code length}, else it cannot be told with which:
   * Linux goes on to what follows ({@code unix_stream_read_generic}).
   *
   * @param buffer off-heap
   * @param offset where the first byte goes
   * @param length bytes at most, above 0
   * @return bytes that are there, at least 1; 0 if the peer has closed
   * @throws SystemCallException as {@link #receive}
   */
  public long peek(MemorySegment buffer, long offset, long length) {
    return receive(buffer, offset, length, CONTROL_SIZE, Constants.MSG_PEEK);
  }

  /** As {@link #receive}, without the descriptors that come with the bytes: they are closed. */
  public long receiveBytes(MemorySegment buffer, long offset, long length) {
    return receive(buffer, offset, length, 0, 0);
  }

  private long receive(MemorySegment buffer, long offset, long length, long control, int flags) {
    dropDescriptors();
    SystemCalls calls = descriptor.calls();
    long result;
    try (Descriptor.Use use = descriptor.use()) {
      do {
        in.prepare(buffer, offset, length, control);
        result = calls.recvmsg(use.number(), in.header, Constants.MSG_CMSG_CLOEXEC | flags);
      } while (result == -ErrnoNames.EINTR);
    }
    if (result < 0) {
      throw new SystemCallException("receive from " + descriptor.name(), (int) -result);
    }
    collect(in.header.get(ValueLayout.JAVA_LONG, Message.CONTROL_LENGTH));
    return result;
  }

  /**
   * Waits until {@link #receive} would not. For the thread that receives.
   *
   * @param deadline of {@link System#nanoTime}; parts of a millisecond count as one
   * @return whether there are bytes or the peer has closed; false if the time was over first
   */
  public boolean awaitUntil(long deadline) {
    return poll.until(deadline);
  }

  /** Bytes that have come and were not received. */
  public int available() {
    try (Descriptor.Use use = descriptor.use();
        Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
      int result = descriptor.calls().ioctl(use.number(), Constants.FIONREAD, count.address());
      SystemCallException.check(result, "ioctl FIONREAD");
      return count.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Whether the peer has closed, whatever it sent before. For the thread that receives. */
  public boolean hungUp() {
    return poll.hungUp();
  }

  private void collect(long length) {
    long at = 0;
    while (at + CONTROL_HEADER <= length) {
      long size = in.control.get(ValueLayout.JAVA_LONG, at);
      if (size < CONTROL_HEADER) {
        return;
      }
      boolean rights =
          in.control.get(ValueLayout.JAVA_INT, at + 8) == Constants.SOL_SOCKET
              && in.control.get(ValueLayout.JAVA_INT, at + 12) == Constants.SCM_RIGHTS;
      for (long i = at + CONTROL_HEADER; rights && i + 4 <= at + size; i += 4) {
        received[receivedCount++] = in.control.get(ValueLayout.JAVA_INT, i);
      }
      at += (size + 7) & ~7;
    }
  }

  /** Descriptors that came with the last bytes and were not taken. */
  public int descriptors() {
    int left = 0;
    for (int i = 0; i < receivedCount; i++) {
      left += received[i] >= 0 ? 1 : 0;
    }
    return left;
  }

  /**
   * Takes over a descriptor that came with the last bytes.
   *
   * @param index the first is 0
   * @param name what it refers to, for messages
   * @throws IndexOutOfBoundsException if there is none of that index, or it was taken
   */
  public Descriptor takeDescriptor(int index, String name) {
    if (index < 0 || index >= receivedCount || received[index] < 0) {
      throw new IndexOutOfBoundsException(
          "no descriptor: index=%d, received=%d".formatted(index, receivedCount));
    }
    int fd = received[index];
    received[index] = -1;
    return new Descriptor(descriptor.calls(), fd, name);
  }

  /** Closes what came and nobody took. */
  public void dropDescriptors() {
    for (int i = 0; i < receivedCount; i++) {
      if (received[i] >= 0) {
        descriptor.calls().close(received[i]);
      }
    }
    receivedCount = 0;
  }

  /** The descriptor, which stays this object's. */
  public Descriptor descriptor() {
    return descriptor;
  }

  /** Ends the connection for both sides; who waits in {@link #receive} gets 0. */
  public void shutdown() {
    descriptor.shutdown();
  }

  /** Closes the socket and what came and nobody took. No other thread may be using it. */
  @Override
  public void close() {
    if (descriptor.isOpen()) {
      dropDescriptors();
      descriptor.close();
    }
  }

  /**
   * A process at the time it connected.
   *
   * @param pid its number
   * @param uid its effective user
   * @param gid its effective group
   */
  public record Credentials(int pid, int uid, int gid) {}
}
