// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vfio4j.linux.posix.SystemCallException;
import org.vfio4j.linux.posix.SystemCalls;
import org.vfio4j.linux.posix.UnixListener;
import org.vfio4j.linux.posix.UnixSocket;
import org.vfio4j.linux.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.ServedDevice;

/**
 * Serves a device at a socket, to one client after the other: the next waits until the one before
 * has left. The protocol is vfio-user 0.1, and 0.0 for QEMU.
 *
 * <pre>{@code
 * try (Server server = Server.at(Path.of("/run/my.sock")).start(device)) {
 *   server.join();
 * }
 * }</pre>
 *
 * <p>Only the owner can connect, unless a group is let in. Besides what the file's permissions say,
 * each client must be of this process' user, or root, or of that group.
 *
 * <p>A refused DMA_MAP or DMA_UNMAP is logged as a warning, once each, under {@code
 * org.vfio4j.user}; other refusals for debugging.
 */
public final class Server implements AutoCloseable {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  private final UnixListener listener;
  private final ServedDevice device;
  private final Events events;
  private final int uid;
  private final OptionalInt gid;
  private final Thread thread;

  /** The client's; guards against shutting down a descriptor that is somebody else's by then. */
  private final Object lock = new Object();

  private @Nullable UnixSocket client;
  private boolean closed;

  /** Who comes and goes. Called by the thread that serves. */
  public interface Events {
    /** A client has connected. */
    default void connected(Credentials peer) {}

    /** It has left. */
    default void disconnected(Credentials peer, String why) {}

    /** One was turned away. */
    default void refused(Credentials peer) {}
  }

  /** How a device is served. */
  public static final class Builder {
    private final Path path;
    private Set<PosixFilePermission> permissions = PosixFilePermissions.fromString("rw-------");
    private Optional<GroupPrincipal> group = Optional.empty();
    private Events events = new Events() {};

    private Builder(Path path) {
      this.path = path;
    }

    /** Who may connect, as the socket file's permissions; writing counts. Default the owner. */
    public Builder permissions(Set<PosixFilePermission> mode) {
      permissions = Set.copyOf(mode);
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
     * Begins to serve, on a thread of its own.
     *
     * @param device stays the caller's, who closes it after the server
     * @throws SystemCallException EADDRINUSE if somebody listens there, ENOENT, EACCES
     * @throws IllegalArgumentException if the path is longer than a socket's can be
     */
    public Server start(ServedDevice device) {
      UnixListener listener = UnixListener.bind(SystemCalls.libc(), path, permissions, group);
      boolean done = false;
      try {
        Server server = new Server(listener, device, this);
        server.thread.start();
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
    this.device = device;
    this.events = options.events;
    uid = (Integer) Files.getAttribute(listener.path(), "unix:uid");
    gid =
        options.group.isPresent()
            ? OptionalInt.of((Integer) Files.getAttribute(listener.path(), "unix:gid"))
            : OptionalInt.empty();
    thread = new Thread(this::run, "vfio-user " + listener.path().getFileName());
    thread.setDaemon(true);
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
    thread.join();
  }

  private void run() {
    while (true) {
      UnixSocket socket;
      try {
        socket = listener.accept();
      } catch (SystemCallException e) {
        if (!accepting(e)) {
          return;
        }
        continue;
      }
      synchronized (lock) {
        client = socket;
        if (closed) {
          socket.shutdown();
        }
      }
      try {
        serve(socket);
      } catch (RuntimeException | Error e) {
        // Whatever a device throws, the next client is served.
        LOG.log(Level.ERROR, () -> path() + ": a connection failed", e);
      } finally {
        synchronized (lock) {
          client = null;
          socket.close();
        }
      }
    }
  }

  /** Whether to go on after an accept that failed. */
  private boolean accepting(SystemCallException e) {
    synchronized (lock) {
      if (closed) {
        return false;
      }
      LOG.log(Level.ERROR, () -> path() + ": " + e.getMessage());
      try {
        // Out of descriptors, say: others of this process may give some back.
        lock.wait(100);
      } catch (InterruptedException _) {
        return false;
      }
      return !closed;
    }
  }

  private void serve(UnixSocket socket) {
    Credentials peer = socket.peer();
    if (!admits(peer)) {
      LOG.log(
          Level.WARNING,
          "%s: turned away process %d of user %d, group %d"
              .formatted(path(), peer.pid(), peer.uid(), peer.gid()));
      events.refused(peer);
      return;
    }
    events.connected(peer);
    String why = "lost";
    try {
      why = new Connection(socket, device, path().getFileName().toString()).run();
    } finally {
      events.disconnected(peer, why);
    }
  }

  private boolean admits(Credentials peer) {
    return peer.uid() == uid
        || peer.uid() == 0
        || gid.isPresent() && PeerGroups.includes(peer, gid.getAsInt());
  }

  /**
   * Stops: the client is disconnected, all that it brought is given back, the socket file goes.
   * Waits for the device's {@code detached}.
   */
  @Override
  public void close() {
    synchronized (lock) {
      closed = true;
      listener.shutdown();
      if (client != null) {
        client.shutdown();
      }
      lock.notifyAll();
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    listener.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
