// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ScratchMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.Arrivals.Arrival;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.LeftClient;
import org.vfio4j.user.device.LeftReply;
import org.vfio4j.user.device.MemoryLimits;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.RemoteMemory;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.Version;

/**
 * One client of a device, from its first message to its last. Everything happens on the thread that
 * calls {@link #run}; only the device's own threads come in besides, through {@link Calls}.
 *
 * <p>A command that cannot be done is answered with its errno, and the connection goes on. It ends
 * when a message cannot be told from the next: impossible size or type, or anything but VERSION as
 * the first.
 */
final class Connection {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  /** QEMU gives a server five seconds; a client gets as many. */
  static final Duration TIMEOUT = Duration.ofSeconds(5);

  /** For the rest of a message of which a part is there. */
  private static final Duration REFUSAL_TIME = Duration.ofMillis(100);

  private final UnixSocket socket;
  private final Credentials peer;
  private final Arrival arrival;
  private final ServedDevice device;
  private final String name;
  private final Service service;
  private final Disposal disposal;
  private final MessageWriter writer;

  /** Why this side has ended the connection; empty if it has not. */
  private final AtomicReference<String> cut = new AtomicReference<>("");

  /**
   * What a client is served.
   *
   * @param device whose sessions its commands go to
   * @param name of the device, for messages
   * @param handshake how long the client may take for its first message
   * @param limits what its memory may take
   * @param buffers for one client after the other
   * @param kept whether another process may go on with its connections
   */
  record Service(
      ServedDevice device,
      String name,
      Duration handshake,
      MemoryLimits limits,
      Buffers buffers,
      boolean kept) {}

  /**
   * Where messages are while they are served. They are a server's, not a connection's: a shared
   * arena for each client that comes would stop all threads of the process for a moment when it
   * goes. There is room for the longest message both ways, of which a device that is asked for
   * registers touches a page each.
   */
  static final class Buffers {
    private static final long PAGE = 4096;

    private final ScratchMemory memory;
    private final MemorySegment incoming;
    private final MemorySegment outgoing;

    private Buffers(ScratchMemory memory) {
      this.memory = memory;
      long half = memory.segment().byteSize() / 2;
      incoming = memory.segment().asSlice(0, Negotiated.CAPACITY);
      outgoing = memory.segment().asSlice(half, Negotiated.CAPACITY);
    }

    static Buffers of(Arena arena) {
      long each = (Negotiated.CAPACITY + PAGE - 1) & -PAGE;
      return new Buffers(ScratchMemory.of(SystemCalls.libc(), arena, 2 * each));
    }

    /** What the client sends. */
    MemorySegment incoming() {
      return incoming;
    }

    /** What it is answered. */
    MemorySegment outgoing() {
      return outgoing;
    }

    /** Leaves nothing of the client that has gone, and takes no more memory than a new one. */
    void clear() {
      memory.clear();
    }
  }

  /**
   * A client that has connected.
   *
   * @param arrival its socket stays the caller's
   */
  Connection(Arrival arrival, Service service) {
    this.arrival = arrival;
    this.socket = arrival.socket();
    this.peer = arrival.peer();
    this.service = service;
    device = service.device();
    name = service.name();
    disposal = Disposal.of(peer.uid());
    writer = new MessageWriter(socket);
  }

  /**
   * Serves the client until it leaves, and gives back all that it brought.
   *
   * @return why it ended, in words
   */
  String run() {
    String why = serve();
    String own = cut.get();
    return own.isEmpty() ? why : own;
  }

  private String serve() {
    int first = Negotiated.NOTHING.maxMessage();
    ReplyWriter replies = new ReplyWriter(writer, service.buffers().outgoing());
    MemorySegment incoming = service.buffers().incoming();
    try (MessageReader reader = new MessageReader(socket, incoming, first, this::discard)) {
      boolean begun = false;
      if (service.kept()) {
        // What was taken, and not answered, when this process dies would be lost.
        reader.exact();
      }
      try {
        if (arrival.left().isPresent()) {
          goOn(arrival.left().get(), reader, replies);
          return "left";
        }
        // Only this message has its time. A client may be silent for hours once it has the device,
        // and one that stops within a message keeps it no longer than one between two of them.
        if (!reader.first(service.handshake())) {
          return "left before it said anything";
        }
        Agreement agreement = negotiate(reader, replies);
        Negotiated agreed = agreement.negotiated();
        try (ClientSession session = attach(agreed, reader, replies)) {
          begun = true;
          welcome(agreement, reader, replies, session);
          reader.limit(agreed.maxMessage());
          session.run(reader);
        }
        return "left";
      } catch (ConnectionException e) {
        if (!begun) {
          LOG.log(Level.DEBUG, "{0}: a client could not begin: {1}", name, e.reason());
        }
        return e.reason();
      } catch (SystemCallException e) {
        return "lost: " + ConnectionException.describe(e);
      }
    } finally {
      service.buffers().clear();
    }
  }

  private static void late(DeviceSession device, int id, int command) {
    if (device.exact()) {
      device.answering(new LeftReply(id, command, Errno.ETIMEDOUT.number(), true));
    }
  }

  /** Serves one that another process has served, from the first message it was not answered. */
  private void goOn(LeftClient left, MessageReader reader, ReplyWriter replies) {
    Negotiated agreed = Negotiated.of(left.agreed());
    // Replies to the process before may be under way: these are nobody's.
    int first = ThreadLocalRandom.current().nextInt(1 << 16);
    Calls calls = new Calls(writer, agreed.maxTransfer(), first, TIMEOUT, Thread.currentThread());
    boolean done = false;
    try (ClientSession session = begin(agreed, calls, replies, left.alive(), device::resume)) {
      done = true;
      reader.limit(agreed.maxMessage());
      boolean waits = socket.available() > 0;
      if (!waits) {
        left.reply().ifPresent(reply -> standIn(reply, replies, session));
      }
      waits = session.sendLeft(reader, waits && reader.next());
      if (waits || reader.next()) {
        if (waits) {
          settle(left, reader, session, replies);
        } else {
          session.arrived();
        }
        if (Header.command(reader.buffer(), reader.at()) == Command.VERSION) {
          welcome(negotiate(reader, replies), reader, replies, session);
        } else {
          session.handle(reader);
        }
        session.run(reader);
      }
    } catch (VfioException e) {
      throw new ConnectionException("not served any more: " + e.getMessage());
    } finally {
      if (!done) {
        calls.close();
      }
    }
  }

  private static void standIn(LeftReply reply, ReplyWriter replies, ClientSession session) {
    replies.standIn(reply);
    session.answered();
  }

  /** Whether the command that was about to be answered was taken, and so maybe answered. */
  private static void settle(
      LeftClient left, MessageReader reader, ClientSession session, ReplyWriter replies) {
    if (left.reply().isEmpty()) {
      return;
    }
    LeftReply reply = left.reply().get();
    if (Header.id(reader.buffer(), reader.at()) != reply.id()) {
      // Its client goes on, so it was answered, or it has sent two at once.
      standIn(reply, replies, session);
    } else if (reply.early()) {
      session.toldBefore(reply.id());
    }
  }

  /** Closes what the client sent and nobody took. One who sends too much of it is disconnected. */
  private void discard(Descriptor descriptor) {
    if (disposal.close(descriptor) && !disposal.awaitRoom()) {
      disconnect("sent what cannot be closed: " + disposal.now());
    }
  }

  /** What the client gets to hear, and what it means. */
  private record Agreement(Version answer, Negotiated negotiated) {}

  /** The first message. */
  private static Agreement negotiate(MessageReader reader, ReplyWriter replies) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    if (Header.command(in, at) != Command.VERSION
        || (Header.flags(in, at) & Header.TYPE) != Header.TYPE_COMMAND) {
      throw new ConnectionException(
          "began with %s instead of VERSION".formatted(Command.name(Header.command(in, at))));
    }
    try {
      long payload = (long) reader.size() - Header.SIZE;
      Version proposed = Version.parse(in, at + Header.SIZE, payload);
      Version answer = Negotiated.answer(proposed);
      return new Agreement(answer, Negotiated.byServer(proposed, answer));
    } catch (MessageException e) {
      replies.fail(in, at, e.errno().number());
      throw new ConnectionException("no version agreed on: " + e.getMessage());
    }
  }

  private void welcome(
      Agreement agreement, MessageReader reader, ReplyWriter replies, ClientSession session) {
    Version answer = agreement.answer();
    session.begin(reader);
    answer.encode(replies.buffer(), Header.SIZE);
    boolean wanted = ReplyWriter.wanted(reader.buffer(), reader.at());
    session.answer(reader, wanted, 0, Header.SIZE + answer.length(), Uses.NONE);
    LOG.log(Level.DEBUG, "{0}: agreed on {1}", name, agreement.negotiated());
  }

  private ClientSession attach(Negotiated agreed, MessageReader reader, ReplyWriter replies) {
    Calls calls = new Calls(writer, agreed.maxTransfer(), 0, TIMEOUT, Thread.currentThread());
    boolean done = false;
    try {
      ClientSession begun = begin(agreed, calls, replies, System.nanoTime(), device::attach);
      done = true;
      return begun;
    } catch (VfioException e) {
      replies.fail(reader.buffer(), reader.at(), e.errno().number());
      throw new ConnectionException("not served: " + e.getMessage());
    } finally {
      if (!done) {
        calls.close();
      }
    }
  }

  private ClientSession begin(
      Negotiated agreed,
      Calls calls,
      ReplyWriter replies,
      long from,
      Function<Peer, DeviceSession> how) {
    DeviceSession attached = how.apply(new ConnectedPeer(agreed, calls));
    boolean done = false;
    try {
      Commands commands = new Commands(attached, name, agreed);
      Optional<LateAnswers> late =
          attached
              .patience()
              .map(
                  time ->
                      new LateAnswers(writer, name, time, from, (id, n) -> late(attached, id, n)));
      ClientSession begun =
          new ClientSession(socket, peer.pid(), name, calls, attached, commands, replies, late);
      done = true;
      return begun;
    } finally {
      if (!done) {
        attached.close();
      }
    }
  }

  /** The client, as the device knows it. */
  private final class ConnectedPeer implements Peer {
    private final Negotiated agreed;
    private final Calls calls;

    ConnectedPeer(Negotiated agreed, Calls calls) {
      this.agreed = agreed;
      this.calls = calls;
    }

    @Override
    public Credentials credentials() {
      return peer;
    }

    @Override
    public String device() {
      return name;
    }

    @Override
    public String connection() {
      return arrival.kept();
    }

    @Override
    public int maxMappings() {
      return agreed.maxMappings();
    }

    @Override
    public Agreed agreed() {
      return new Agreed(
          agreed.minor(),
          agreed.theirDescriptors(),
          agreed.maxTransfer(),
          agreed.maxMappings(),
          agreed.writeMultiple());
    }

    @Override
    public MemoryLimits limits() {
      return service.limits();
    }

    @Override
    public RemoteMemory memory() {
      return calls;
    }

    @Override
    public void disconnect(String why) {
      Connection.this.disconnect(why);
    }

    @Override
    public void later(String what, Runnable release) {
      disposal.later(what, release);
    }
  }

  /** Ends the connection, from any thread; {@link #run} returns this reason, the first one. */
  void disconnect(String why) {
    cut.compareAndSet("", why);
    socket.shutdown();
  }

  /**
   * Answers a client that cannot be served with an error, so that it need not wait for nothing. One
   * that has not said anything gets no answer.
   *
   * @param errno why
   * @param buffers nobody else's
   */
  void refuse(int errno, Buffers buffers) {
    int first = Negotiated.NOTHING.maxMessage();
    try (MessageReader reader =
        new MessageReader(socket, buffers.incoming(), first, this::discard)) {
      if (socket.available() > 0 && reader.first(REFUSAL_TIME)) {
        new ReplyWriter(writer, buffers.outgoing()).fail(reader.buffer(), reader.at(), errno);
      }
    } catch (ConnectionException | SystemCallException e) {
      LOG.log(Level.DEBUG, "{0}: a client that waited left: {1}", name, e.getMessage());
    }
  }
}
