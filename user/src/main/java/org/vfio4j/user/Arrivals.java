// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.UnixListener;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.LeftClient;

/**
 * Who has connected and waits for its turn. They are accepted at once, on a thread that {@link
 * #accept} keeps: so strangers need not wait to be turned away, and it can be told who waits for
 * whom. Nobody is turned away for coming early: a restarted VMM comes while its predecessor dies.
 * One that has waited for too long is told so: a VMM that waits for longer would be stuck as long.
 */
final class Arrivals {
  private static final Logger LOG = System.getLogger("org.vfio4j.user");

  /** As many as wait in the kernel besides. */
  private static final int MAX_WAITING = 16;

  /** How long to wait for what nobody tells of: a descriptor, or that one who waits has left. */
  private static final long RETRY_MILLIS = 100;

  private final UnixListener listener;
  private final Predicate<Credentials> admits;
  private final Server.Events events;
  private final Turns turns;
  private final KeptConnections kept;
  private final Deque<Arrival> waiting = new ArrayDeque<>();
  private final Set<Disposal> users = ConcurrentHashMap.newKeySet();
  private Optional<Credentials> served = Optional.empty();
  private boolean closed;

  /**
   * One who has connected.
   *
   * @param socket its end is to be closed by who takes it
   * @param told whether it was told of as waiting
   * @param kept the name under which it is kept for another process; empty if it is not
   * @param left how another process has left it, if it was served
   */
  record Arrival(
      UnixSocket socket, Credentials peer, boolean told, String kept, Optional<LeftClient> left) {}

  /**
   * How long one may wait for its turn, and what is said to who has waited that long.
   *
   * @param longest a millisecond at least
   */
  record Turns(Duration longest, Consumer<Arrival> refuse) {}

  /**
   * Nobody yet.
   *
   * @param listener stays the caller's
   * @param admits who is let in
   * @param kept where connections are kept for another process
   */
  Arrivals(
      UnixListener listener,
      Predicate<Credentials> admits,
      Server.Events events,
      Turns turns,
      KeptConnections kept) {
    this.kept = kept;
    this.listener = listener;
    this.admits = admits;
    this.events = events;
    this.turns = turns;
  }

  /** Accepts until {@link #close}. */
  void accept() {
    while (room()) {
      UnixSocket socket;
      try {
        socket = listener.accept();
      } catch (SystemCallException e) {
        if (!isClosed()) {
          // Out of descriptors, say: others of this process may give some back.
          LOG.log(Level.ERROR, () -> listener.path() + ": " + e.getMessage());
          pause();
        }
        continue;
      }
      receive(socket);
    }
  }

  /**
   * Has somebody wait for its turn, or turns it away.
   *
   * @param socket taken over
   * @return whether it is let in
   */
  boolean receive(UnixSocket socket) {
    return receive(socket, Optional.empty(), Optional.empty());
  }

  /**
   * The same of one whom another process has let in.
   *
   * @param as the name under which it is kept
   * @param left how that process has left it, if it was served
   * @return whether it is let in still
   */
  boolean resume(UnixSocket socket, String as, Optional<LeftClient> left) {
    return receive(socket, Optional.of(as), left);
  }

  private boolean receive(UnixSocket socket, Optional<String> as, Optional<LeftClient> left) {
    boolean taken = false;
    Optional<Disposal> disposal = Optional.empty();
    try {
      Credentials peer = socket.peer();
      disposal = Optional.of(Disposal.of(peer.uid()));
      users.add(disposal.get());
      taken = admit(socket, peer, as, left);
    } catch (RuntimeException | Error e) {
      // Whatever a listener to events throws, the next one is let in.
      LOG.log(Level.ERROR, () -> listener.path() + ": a client was lost", e);
    } finally {
      if (!taken) {
        // Without a peer the other end is gone already, and nobody can be made to wait for it.
        disposal.ifPresentOrElse(d -> d.close(socket), socket::close);
      }
    }
    return taken;
  }

  private boolean admit(
      UnixSocket socket, Credentials peer, Optional<String> as, Optional<LeftClient> left) {
    Optional<String> why =
        admits.test(peer)
            ? Disposal.of(peer.uid()).hangs().map(what -> "this process waits for its " + what)
            : Optional.of("not the owner, not root, not of the group");
    if (why.isPresent()) {
      LOG.log(
          Level.WARNING,
          "%s: turned away process %d of user %d, group %d: %s"
              .formatted(listener.path(), peer.pid(), peer.uid(), peer.gid(), why.get()));
      events.refused(peer, why.get());
      return false;
    }
    String name = as.isPresent() ? as.get() : kept.connected(socket.descriptor());
    removeLeft();
    Optional<Credentials> before = before();
    if (before.isPresent()) {
      int pid = before.get().pid();
      LOG.log(
          Level.DEBUG,
          () -> "%s: process %d waits for %d".formatted(listener.path(), peer.pid(), pid));
      events.waiting(peer, before.get());
    }
    Arrival arrival = new Arrival(socket, peer, before.isPresent(), name, left);
    boolean added = add(arrival);
    if (added && arrival.told()) {
      Thread.ofVirtual().name("vfio-user turn").start(() -> expire(arrival));
    }
    return added;
  }

  /** Who waits for longer than it may is told so: it would wait for nothing as long as it can. */
  private void expire(Arrival arrival) {
    long deadline = System.nanoTime() + turns.longest().toNanos();
    synchronized (this) {
      long left = deadline - System.nanoTime();
      while (waiting.contains(arrival) && left > 0) {
        try {
          TimeUnit.NANOSECONDS.timedWait(this, left);
        } catch (InterruptedException _) {
          return;
        }
        left = deadline - System.nanoTime();
      }
      if (!waiting.remove(arrival)) {
        return;
      }
      notifyAll();
    }
    try {
      try {
        turns.refuse().accept(arrival);
      } finally {
        Disposal.of(arrival.peer().uid()).close(arrival.socket());
      }
      events.disconnected(
          arrival.peer(), "waited %d ms for its turn".formatted(turns.longest().toMillis()));
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, () -> listener.path() + ": nobody was told of who waited", e);
    }
  }

  private synchronized boolean isClosed() {
    return closed;
  }

  /** Who is served, or will be. */
  private synchronized Optional<Credentials> before() {
    return served.or(() -> Optional.ofNullable(waiting.peek()).map(Arrival::peer));
  }

  private synchronized boolean add(Arrival arrival) {
    if (!closed) {
      waiting.add(arrival);
      notifyAll();
    }
    return !closed;
  }

  /** Waits for room. False when closed. */
  private boolean room() {
    while (!isClosed()) {
      synchronized (this) {
        if (waiting.size() < MAX_WAITING) {
          return true;
        }
      }
      pause();
      removeLeft();
    }
    return false;
  }

  /** One wait, maybe for nothing: who calls asks again what it waits for. */
  @SuppressWarnings("WaitNotInLoop")
  private synchronized void pause() {
    try {
      if (!closed) {
        wait(RETRY_MILLIS);
      }
    } catch (InterruptedException _) {
      closed = true;
    }
  }

  /** Those who have given up: QEMU does after five seconds. */
  private void removeLeft() {
    List<Arrival> left = new ArrayList<>();
    synchronized (this) {
      waiting.removeIf(a -> a.told() && a.socket().hungUp() && left.add(a));
    }
    left.forEach(this::gone);
  }

  private void gone(Arrival arrival) {
    Disposal.of(arrival.peer().uid()).close(arrival.socket());
    try {
      events.disconnected(arrival.peer(), "left while it waited");
    } catch (RuntimeException e) {
      LOG.log(Level.ERROR, () -> listener.path() + ": nobody was told of who left", e);
    }
  }

  /**
   * Waits for somebody to serve, who is served until {@link #done}.
   *
   * @return nobody when closed
   */
  Optional<Arrival> next() {
    while (true) {
      Arrival next;
      synchronized (this) {
        while (waiting.isEmpty() && !closed) {
          try {
            wait();
          } catch (InterruptedException _) {
            closed = true;
          }
        }
        if (closed) {
          return Optional.empty();
        }
        next = waiting.remove();
        served = Optional.of(next.peer());
        notifyAll();
      }
      if (!next.told() || !next.socket().hungUp()) {
        return Optional.of(next);
      }
      done();
      gone(next);
    }
  }

  /** Nobody is served any more. */
  synchronized void done() {
    served = Optional.empty();
  }

  /** Of the users who have connected, let in or not. */
  Collection<Disposal> users() {
    return users;
  }

  /** Ends {@link #accept} and {@link #next}, and disconnects who waits. */
  synchronized void close() {
    closed = true;
    listener.shutdown();
    waiting.forEach(a -> Disposal.of(a.peer().uid()).close(a.socket()));
    waiting.clear();
    notifyAll();
  }
}
