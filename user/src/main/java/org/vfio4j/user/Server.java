// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixListener;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.Arrivals.Arrival;
import org.vfio4j.user.device.LeftClient;
import org.vfio4j.user.device.MemoryLimits;
import org.vfio4j.user.device.ServedDevice;

/**
 * Serves a device at a socket, to one client after the other. The protocol is vfio-user 0.1, and
 * 0.0 for QEMU.
 *
 * <pre>{@code
 * try (Server server = Server.at(Path.of("/run/my.sock")).start(device)) {
 *   server.join();
 * }
 * }</pre>
 *
 * <p>Only the owner can connect, unless a group is let in. Besides what the file's permissions say,
 * each client must be of the file's user, or root, or of that group.
 *
 * <p>Who connects while another has the device waits until that one has left, of which {@link
 * Events#waiting} tells, so that a machine may be started again while the one before it still ends;
 * after {@link Builder#turn} it is refused. A client has the device for as long as it stays
 * connected, however silent, even if it stops within a message. Only its first message, VERSION,
 * must be there in time; see {@link Builder#handshake}.
 *
 * <p>Flight Recorder gets {@code org.vfio4j.user.Client} for whoever comes and goes, and {@code
 * org.vfio4j.user.Command} for each command above its threshold, 10 ms if not said otherwise.
 *
 * <p>A refused DMA_MAP or DMA_UNMAP is logged as a warning, once each, under {@code
 * org.vfio4j.user}; other refusals for debugging.
 */
public final class Server implements AutoCloseable {
  static final Logger LOG = System.getLogger("org.vfio4j.user");

  /** How long {@link #close} waits for what clients have brought, and for the device. */
  public static final Duration CLOSE_LIMIT = Duration.ofSeconds(10);

  private static final String CLOSED = "the server was closed";

  private final UnixListener listener;
  private final Arena arena = Arena.ofShared();
  private final Connection.Service service;
  private final Events events;
  private final int uid;
  private final OptionalInt gid;
  private final Arrivals arrivals;
  private final KeptConnections kept;
  private final Thread accepting;
  private final Thread serving;

  /** The client's; guards against shutting down a descriptor that is somebody else's by then. */
  private final Object lock = new Object();

  private @Nullable Connection client;
  private boolean closed;

  /**
   * Who comes and goes. Called by several threads, maybe at the same time: the one that serves, the
   * one that accepts, and whoever calls {@link Server#adopt} or {@link Server#close}.
   */
  public interface Events {
    /** A client has connected, and is served from now on. */
    default void connected(Credentials peer) {}

    /** It has left, or one that waited has. */
    default void disconnected(Credentials peer, String why) {}

    /**
     * One has connected that must wait. It is served when all before it have left, and {@link
     * #connected} says so.
     *
     * @param before who is served, as of now
     */
    default void waiting(Credentials peer, Credentials before) {}

    /**
     * One was turned away.
     *
     * @param why it is a stranger, or its user has this process wait for something
     */
    default void refused(Credentials peer, String why) {}

    /**
     * The server was closed, and something that a client has caused is not over: it goes on without
     * the server. This process cannot end before it is over, not even when it is killed, if it is a
     * file that waits for another process in the kernel.
     *
     * @param what what it is, and whose
     */
    default void abandoned(String what) {}
  }

  /** How a device is served. */
  public static final class Builder {
    private final Path path;
    private Set<PosixFilePermission> permissions = PosixFilePermissions.fromString("rw-------");
    private Optional<UserPrincipal> owner = Optional.empty();
    private Optional<GroupPrincipal> group = Optional.empty();
    private Events events = new Events() {};
    private Duration handshake = Connection.TIMEOUT;
    private Duration turn = Connection.TIMEOUT;
    private MemoryLimits limits = MemoryLimits.DEFAULT;
    private SystemCalls calls = SystemCalls.libc();
    private KeptConnections kept = new KeptConnections(KeptDescriptors.NONE, "");

    private Builder(Path path) {
      this.path = path;
    }

    /** Who may connect, as the socket file's permissions; writing counts. Default the owner. */
    public Builder permissions(Set<PosixFilePermission> mode) {
      permissions = Set.copyOf(mode);
      return this;
    }

    /** The user that the socket file belongs to, who is let in; this process' own if not said. */
    public Builder owner(UserPrincipal name) {
      owner = Optional.of(name);
      return this;
    }

    /**
     * The group that the socket file belongs to. Its members are let in if the permissions say so.
     */
    public Builder group(GroupPrincipal name) {
      group = Optional.of(name);
      return this;
    }

    /** Who is told of clients. */
    public Builder events(Events listener) {
      events = listener;
      return this;
    }

    /**
     * How long a client may take for its VERSION, from when its turn comes. One that takes longer
     * is disconnected, so that it does not keep others waiting.
     *
     * @param time from a millisecond to a day; 5 seconds if not said
     * @throws IllegalArgumentException if it is shorter or longer
     */
    public Builder handshake(Duration time) {
      if (time.compareTo(Duration.ofMillis(1)) < 0 || time.compareTo(Duration.ofDays(1)) > 0) {
        throw new IllegalArgumentException("handshake: %s, 1 ms to 1 day".formatted(time));
      }
      handshake = time;
      return this;
    }

    /**
     * How long a client may wait for its turn. Then its VERSION is refused with EBUSY.
     *
     * @param time from a millisecond to a day; 5 seconds if not said
     * @throws IllegalArgumentException if it is shorter or longer
     */
    public Builder turn(Duration time) {
      if (time.compareTo(Duration.ofMillis(1)) < 0 || time.compareTo(Duration.ofDays(1)) > 0) {
        throw new IllegalArgumentException("turn: %s, 1 ms to 1 day".formatted(time));
      }
      turn = time;
      return this;
    }

    /** What the memory of a client may take of this process; {@link MemoryLimits#DEFAULT}. */
    public Builder limits(MemoryLimits most) {
      limits = most;
      return this;
    }

    /** The system calls that it makes; those of the C library if not said. */
    public Builder calls(SystemCalls made) {
      calls = made;
      return this;
    }

    /**
     * Where the listener and the connections are kept for another process, and what one has left:
     * its clients are served on, and notice nothing.
     *
     * @param name of the server there, eleven bytes at most: the same in each process, and no other
     *     server's
     */
    public Builder kept(KeptDescriptors descriptors, String name) {
      kept = new KeptConnections(descriptors, name);
      return this;
    }

    private UnixListener listener() {
      Optional<Descriptor> left = kept.listener();
      if (left.isPresent()) {
        try {
          return UnixListener.resume(left.get(), path);
        } catch (SystemCallException gone) {
          LOG.log(Level.WARNING, () -> gone.getMessage() + ": it is made anew");
          left.get().close();
        }
      }
      UnixListener bound =
          UnixListener.bind(calls, path, new UnixListener.Access(permissions, owner, group));
      boolean done = false;
      try {
        kept.listen(bound.descriptor());
        done = true;
        return bound;
      } finally {
        if (!done) {
          bound.close();
        }
      }
    }

    /**
     * Begins to serve, on threads of its own.
     *
     * @param device stays the caller's, who closes it after the server
     * @throws SystemCallException EADDRINUSE if somebody listens there, ENOENT, EACCES
     * @throws IllegalArgumentException if the path is longer than a socket's can be
     */
    public Server start(ServedDevice device) {
      UnixListener listener = listener();
      boolean done = false;
      try {
        Server server = new Server(listener, device, this);
        server.resume(device);
        server.accepting.start();
        server.serving.start();
        done = true;
        return server;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } finally {
        if (!done) {
          listener.close();
        }
      }
    }
  }

  private Server(UnixListener listener, ServedDevice device, Builder options) throws IOException {
    this.listener = listener;
    String served = listener.path().getFileName().toString();
    events = new RecordedEvents(served, options.events);
    uid = (Integer) Files.getAttribute(listener.path(), "unix:uid");
    gid =
        options.group.isPresent()
            ? OptionalInt.of((Integer) Files.getAttribute(listener.path(), "unix:gid"))
            : OptionalInt.empty();
    Connection.Buffers buffers = Connection.Buffers.of(arena);
    kept = options.kept;
    service =
        new Connection.Service(
            device, served, options.handshake, options.limits, buffers, kept.lasts());
    Arrivals.Turns turns = new Arrivals.Turns(options.turn, this::refuse);
    arrivals = new Arrivals(listener, this::admits, events, turns, kept);
    String name = "vfio-user " + listener.path().getFileName();
    accepting = Thread.ofPlatform().daemon().name(name + " accepts").unstarted(arrivals::accept);
    serving = Thread.ofPlatform().daemon().name(name).unstarted(this::run);
  }

  /** A server at a path, which must not be longer than 107 bytes. */
  public static Builder at(Path path) {
    return new Builder(path);
  }

  /** Where it listens. */
  public Path path() {
    return listener.path();
  }

  /** Waits until the server is closed. */
  public void join() throws InterruptedException {
    serving.join();
  }

  /** Who was served by another process goes on first, then come those who waited there. */
  private void resume(ServedDevice device) {
    List<KeptConnections.Left> connections = kept.left();
    Optional<LeftClient> client = device.left();
    client.ifPresent(
        served ->
            connections.stream()
                .filter(c -> c.name().equals(served.connection()))
                .findFirst()
                .ifPresentOrElse(
                    c -> {
                      if (!resume(c, client)) {
                        device.lost();
                      }
                    },
                    () -> {
                      LOG.log(Level.WARNING, () -> path() + ": a client has left meanwhile");
                      device.lost();
                    }));
    String served = client.map(LeftClient::connection).orElse("");
    connections.stream()
        .filter(c -> !c.name().equals(served))
        .forEach(c -> resume(c, Optional.empty()));
  }

  private boolean resume(KeptConnections.Left connection, Optional<LeftClient> client) {
    return arrivals.resume(UnixSocket.of(connection.file()), connection.name(), client);
  }

  /** One that has waited for its turn in vain. */
  private void refuse(Arrival waited) {
    try (Arena own = Arena.ofConfined()) {
      new Connection(waited, service).refuse(Errno.EBUSY.number(), Connection.Buffers.of(own));
    }
  }

  private void run() {
    for (Optional<Arrival> next = arrivals.next(); next.isPresent(); next = arrivals.next()) {
      UnixSocket socket = next.get().socket();
      Credentials peer = next.get().peer();
      Connection connection = new Connection(next.get(), service);
      synchronized (lock) {
        client = connection;
        if (closed) {
          connection.disconnect(CLOSED);
        }
      }
      try {
        serve(peer, connection);
      } catch (RuntimeException | Error e) {
        // Whatever a device throws, the next client is served.
        LOG.log(Level.ERROR, () -> path() + ": a connection failed", e);
      } finally {
        synchronized (lock) {
          client = null;
        }
        Disposal.of(peer.uid()).close(socket);
      }
    }
    if (service.device().left().isPresent()) {
      // Its turn has not come before the server was closed.
      service.device().lost();
    }
  }

  private void serve(Credentials peer, Connection connection) {
    String why = "lost";
    try {
      events.connected(peer);
      why = connection.run();
    } finally {
      arrivals.done();
      events.disconnected(peer, why);
    }
  }

  /**
   * Disconnects the client that is served now, if there is one. Returns at once: the device is
   * given back, and the next client served, by the server's own thread.
   *
   * @param why what {@link Events#disconnected} is told
   */
  public void disconnect(String why) {
    synchronized (lock) {
      if (client != null) {
        client.disconnect(why);
      }
    }
  }

  /**
   * Takes a client over that is connected already, in its turn: say one end of a {@code
   * socketpair}, or a connection that outlived the process that served it. The other end must be of
   * somebody who may connect, as if it had connected at the path.
   *
   * @param socket a connected stream socket, which is the server's from now on
   * @return whether it is let in
   */
  public boolean adopt(Descriptor socket) {
    return arrivals.receive(UnixSocket.of(socket));
  }

  private boolean admits(Credentials peer) {
    return peer.uid() == uid
        || peer.uid() == 0
        || gid.isPresent() && PeerGroups.includes(peer, gid.getAsInt());
  }

  /**
   * Stops: the client is disconnected, all that it brought is given back, the socket file goes.
   * Waits for the device's session to be closed and for everything to be given back, {@link
   * #CLOSE_LIMIT} at most, and three seconds for one descriptor: what is not over by then is told
   * to {@link Events#abandoned} and logged, and goes on without the server.
   */
  @Override
  public void close() {
    synchronized (lock) {
      closed = true;
      arrivals.close();
      if (client != null) {
        client.disconnect(CLOSED);
      }
    }
    long deadline = System.nanoTime() + CLOSE_LIMIT.toNanos();
    boolean acceptingJoined = join(accepting, deadline);
    boolean interrupted = !join(serving, deadline) || !acceptingJoined;
    listener.close();
    if (serving.isAlive()) {
      abandon("the device, which has not let go of its client");
    } else if (arena.scope().isAlive()) {
      arena.close();
    }
    for (Disposal user : arrivals.users()) {
      if (!user.awaitDone(deadline)) {
        abandon("%s, of a client of user %d".formatted(user.now(), user.uid()));
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for a thread to end, interrupted or not. Returns false if this thread was. */
  private static boolean join(Thread thread, long deadline) {
    boolean interrupted = false;
    long left;
    while (thread.isAlive() && (left = deadline - System.nanoTime()) > 0) {
      try {
        thread.join(Duration.ofNanos(left));
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    return !interrupted;
  }

  private void abandon(String what) {
    LOG.log(Level.ERROR, "%s: closed without waiting any longer for %s".formatted(path(), what));
    events.abandoned(what);
  }
}
