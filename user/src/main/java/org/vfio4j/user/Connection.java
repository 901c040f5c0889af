// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.device.DeviceSession;
import org.vfio4j.user.device.MemoryLimits;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Peer;
import org.vfio4j.user.device.RemoteMemory;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.wire.Command;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.RegionAccess;
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
  private final ServedDevice device;
  private final String name;
  private final Service service;
  private final Disposal disposal;
  private final MessageWriter writer;

  /** One connection's state once the version is agreed on. */
  private record Session(
      Negotiated negotiated,
      Calls calls,
      DeviceSession device,
      Commands commands,
      Optional<LateAnswers> late) {}

  private @Nullable Session session;

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
   */
  record Service(
      ServedDevice device, String name, Duration handshake, MemoryLimits limits, Buffers buffers) {}

  /**
   * Where messages are while they are served. They are a server's, not a connection's: a shared
   * arena for each client that comes would stop all threads of the process for a moment when it
   * goes.
   *
   * @param incoming what the client sends
   * @param outgoing what it is answered
   */
  record Buffers(MemorySegment incoming, MemorySegment outgoing) {
    static Buffers of(Arena arena) {
      return new Buffers(
          arena.allocate(Negotiated.CAPACITY, Long.BYTES),
          arena.allocate(Negotiated.CAPACITY, Long.BYTES));
    }

    /** Leaves nothing of the client before. */
    Buffers clear() {
      incoming.fill((byte) 0);
      outgoing.fill((byte) 0);
      return this;
    }
  }

  /**
   * A client that has connected.
   *
   * @param socket stays the caller's
   * @param peer who is at its other end
   */
  Connection(UnixSocket socket, Credentials peer, Service service) {
    this.socket = socket;
    this.peer = peer;
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
    MemorySegment reply = service.buffers().clear().outgoing();
    MemorySegment incoming = service.buffers().incoming();
    try (MessageReader reader = new MessageReader(socket, incoming, first, this::discard)) {
      try {
        // Only this message has its time. A client may be silent for hours once it has the device,
        // and one that stops within a message keeps it no longer than one between two of them.
        if (!reader.first(service.handshake())) {
          return "left before it said anything";
        }
        Session agreed = negotiate(reader, reply);
        reader.limit(agreed.negotiated.maxMessage());
        if (agreed.device.exact()) {
          reader.exact();
        }
        while (next(agreed, reader)) {
          handle(agreed, reader, reply);
        }
        return "left";
      } catch (ConnectionException e) {
        if (session == null) {
          LOG.log(Level.DEBUG, "{0}: a client could not begin: {1}", name, e.reason());
        }
        return e.reason();
      } catch (SystemCallException e) {
        return "lost: " + ConnectionException.describe(e);
      } finally {
        leave();
      }
    }
  }

  private boolean next(Session agreed, MessageReader reader) {
    reader.consume();
    if (agreed.late.isEmpty()) {
      return reader.next();
    }
    LateAnswers late = agreed.late.get();
    int waiting = reader.ahead() + socket.available();
    late.taken(reader.size());
    late.done(waiting);
    boolean more = reader.next();
    if (waiting == 0) {
      late.arrived();
    }
    return more;
  }

  /** Closes what the client sent and nobody took. One who sends too much of it is disconnected. */
  private void discard(Descriptor descriptor) {
    disposal.close(descriptor);
    if (!disposal.awaitRoom()) {
      disconnect("sent what cannot be closed: " + disposal.now());
    }
  }

  /** The first message. */
  private Session negotiate(MessageReader reader, MemorySegment reply) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    if (Header.command(in, at) != Command.VERSION
        || (Header.flags(in, at) & Header.TYPE) != Header.TYPE_COMMAND) {
      throw new ConnectionException(
          "began with %s instead of VERSION".formatted(Command.name(Header.command(in, at))));
    }
    Version answer;
    Negotiated agreed;
    try {
      long payload = (long) reader.size() - Header.SIZE;
      Version proposed = Version.parse(in, at + Header.SIZE, payload);
      answer = Negotiated.answer(proposed);
      agreed = Negotiated.byServer(proposed, answer);
    } catch (MessageException e) {
      fail(in, at, reply, e.errno().number());
      throw new ConnectionException("no version agreed on: " + e.getMessage());
    }
    Session started = attach(agreed, in, at, reply);
    int length = answer.length();
    answer.encode(reply, Header.SIZE);
    reply(in, at, reply, Header.SIZE + length);
    LOG.log(Level.DEBUG, "{0}: agreed on {1}", name, agreed);
    return started;
  }

  private Session attach(Negotiated agreed, MemorySegment in, int at, MemorySegment reply) {
    Calls calls = new Calls(writer, agreed.maxTransfer(), TIMEOUT, Thread.currentThread());
    boolean done = false;
    try {
      Session started = start(agreed, calls);
      done = true;
      return started;
    } catch (VfioException e) {
      fail(in, at, reply, e.errno().number());
      throw new ConnectionException("not served: " + e.getMessage());
    } finally {
      if (!done) {
        calls.close();
      }
    }
  }

  private Session start(Negotiated agreed, Calls calls) {
    DeviceSession attached = device.attach(new ConnectedPeer(agreed, calls));
    boolean done = false;
    try {
      Commands commands = new Commands(attached, name, agreed);
      Optional<LateAnswers> late =
          attached.patience().map(time -> new LateAnswers(writer, name, time));
      Session started = new Session(agreed, calls, attached, commands, late);
      session = started;
      done = true;
      return started;
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

  private void handle(Session agreed, MessageReader reader, MemorySegment reply) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    int type = Header.flags(in, at) & Header.TYPE;
    if (type == Header.TYPE_COMMAND) {
      if (CommandEvent.recorded()) {
        serveRecorded(agreed, reader, reply);
      } else {
        serve(agreed, reader, reply);
      }
    } else if (type == Header.TYPE_REPLY) {
      if (!agreed.calls.answer(in, at, reader.size())) {
        LOG.log(Level.DEBUG, "{0}: a reply that nobody waits for", name);
      }
    } else {
      throw new ConnectionException("message of unknown type: type=" + type);
    }
  }

  private void serveRecorded(Session agreed, MessageReader reader, MemorySegment reply) {
    CommandEvent event = new CommandEvent();
    event.begin();
    int command = Header.command(reader.buffer(), reader.at());
    try {
      serve(agreed, reader, reply);
    } finally {
      event.end();
      if (event.shouldCommit()) {
        event.device = name;
        event.pid = peer.pid();
        event.command = Command.name(command);
        event.commit();
      }
    }
  }

  private void serve(Session agreed, MessageReader reader, MemorySegment reply) {
    MemorySegment in = reader.buffer();
    int at = reader.at();
    boolean watched = agreed.late.isPresent() && wantsReply(in, at);
    if (watched) {
      agreed.late.get().begin(Header.id(in, at), Header.command(in, at));
    }
    int errno;
    try {
      if (writesRegister(in, at)) {
        // Who goes on with the connection in our place must not write it again.
        reader.consume();
      }
      int size = agreed.commands.serve(reader, reply);
      reader.consume();
      if (!watched || agreed.late.get().claim()) {
        try (Uses beside = Uses.of(agreed.commands.beside())) {
          reply(in, at, reply, size, beside);
        }
      }
      return;
    } catch (MessageException e) {
      errno = refused(in, at, e.errno().number(), e);
    } catch (VfioException e) {
      errno = refused(in, at, e.errno().number(), e);
    } catch (SystemCallException e) {
      // Of the device; one of this connection's socket comes again with the error reply.
      errno = refused(in, at, e.errno(), e);
    } catch (RuntimeException | InternalError e) {
      // InternalError: memory of the device that a client had mapped and somebody cut short.
      LOG.log(Level.ERROR, () -> name + ": the device failed at " + describe(in, at), e);
      errno = Errno.EIO.number();
    }
    reader.consume();
    if (!watched || agreed.late.get().claim()) {
      fail(in, at, reply, errno);
    }
  }

  /** A register may do something each time it is written; all other commands can be done twice. */
  private static boolean writesRegister(MemorySegment in, int at) {
    int command = Header.command(in, at);
    boolean one = command == Command.REGION_WRITE;
    boolean whole = Header.size(in, at) >= Header.SIZE + RegionAccess.SIZE;
    boolean config = one && whole && RegionAccess.region(in, at + Header.SIZE) == Pci.CONFIG;
    return command == Command.REGION_WRITE_MULTI || (one && !config);
  }

  private int refused(MemorySegment in, int at, int errno, RuntimeException why) {
    if (LOG.isLoggable(Level.DEBUG)) {
      LOG.log(Level.DEBUG, name + ": refused " + describe(in, at) + ": " + why.getMessage());
    }
    return errno;
  }

  private static String describe(MemorySegment in, int at) {
    return Command.name(Header.command(in, at));
  }

  private static boolean wantsReply(MemorySegment in, int at) {
    return (Header.flags(in, at) & Header.NO_REPLY) == 0;
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
        fail(reader.buffer(), reader.at(), buffers.outgoing(), errno);
      }
    } catch (ConnectionException | SystemCallException e) {
      LOG.log(Level.DEBUG, "{0}: a client that waited left: {1}", name, e.getMessage());
    }
  }

  private void reply(MemorySegment in, int at, MemorySegment reply, int size) {
    reply(in, at, reply, size, Uses.NONE);
  }

  private void reply(MemorySegment in, int at, MemorySegment reply, int size, Uses beside) {
    if (wantsReply(in, at)) {
      int command = Header.command(in, at);
      Header.encode(reply, 0, Header.id(in, at), command, size, Header.TYPE_REPLY, 0);
      writer.send(reply, size, beside);
    }
  }

  /** A reply that says the command failed is its header and no more. */
  private void fail(MemorySegment in, int at, MemorySegment reply, int errno) {
    if (wantsReply(in, at)) {
      int flags = Header.TYPE_REPLY | Header.ERROR;
      int command = Header.command(in, at);
      Header.encode(reply, 0, Header.id(in, at), command, Header.SIZE, flags, errno);
      writer.send(reply, Header.SIZE);
    }
  }

  /** Nobody is answered any more; then the device lets go of all that the client brought. */
  private void leave() {
    Session left = session;
    if (left == null) {
      return;
    }
    session = null;
    socket.shutdown();
    left.calls.end();
    left.late.ifPresent(LateAnswers::close);
    try {
      left.device.close();
    } catch (RuntimeException | InternalError e) {
      LOG.log(Level.ERROR, () -> name + ": the device failed when its user left", e);
    }
    left.calls.close();
  }
}
