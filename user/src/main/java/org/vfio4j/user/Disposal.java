// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorKind;
import org.vfio4j.posix.UnixSocket;

/**
 * Gives back what clients of one user have brought and what may take for ever to give back: {@code
 * close(2)} of a file on a FUSE mount waits for whoever serves the mount, and so may {@code close}
 * of a socket with such a file, or one with SO_LINGER, in its queue. One thread for each user does
 * it, so that only that user waits. There is no more than one such thread for a user, and it ends
 * when nothing has come for ten seconds.
 *
 * <p>While something {@link #hangs} nobody of the user gets a new connection, at any server of this
 * process, which bounds what hangs. Thread-safe.
 */
final class Disposal {
  /** How long one thing may take before the user is held to be at fault. */
  static final long PATIENCE_NANOS = 1_000_000_000;

  /** How long one thing may take before who waits for all of them waits no longer. */
  private static final long GRACE_NANOS = 3 * PATIENCE_NANOS;

  /**
   * How long the thread stays when there is nothing to do. Linux gives each new thread a stack, and
   * takes it back when it ends, while all other threads of the process wait to touch theirs: one
   * thread for each connection that goes is what a client that comes and goes could have its
   * neighbours feel.
   */
  private static final long LINGER_NANOS = 10_000_000_000L;

  /** What waits at a time before who adds to it has to wait. */
  private static final int BACKLOG = 256;

  private static final ConcurrentHashMap<Integer, Disposal> BY_USER = new ConcurrentHashMap<>();

  private final int uid;
  private final ArrayDeque<Task> tasks = new ArrayDeque<>();
  private @Nullable Task current;
  private boolean running;

  private static final class Task {
    final String what;
    final Runnable release;
    long since;

    Task(String what, Runnable release) {
      this.what = what;
      this.release = release;
    }
  }

  private Disposal(int uid) {
    this.uid = uid;
  }

  /** The one of a user. */
  static Disposal of(int uid) {
    return BY_USER.computeIfAbsent(uid, Disposal::new);
  }

  /**
   * Closes a descriptor that a client sent: at once if that cannot wait. Memory and eventfds are
   * closed without the lock that all clients of the user share.
   *
   * @return whether it is closed later, in its turn
   */
  boolean close(Descriptor descriptor) {
    if (DescriptorKind.of(descriptor) == DescriptorKind.OTHER) {
      later("close of " + DescriptorKind.link(descriptor), descriptor::close);
      return true;
    }
    descriptor.close();
    return false;
  }

  /** Closes a connection, with what is unread in its queue. */
  void close(UnixSocket socket) {
    socket.shutdown();
    later("close of a connection", socket::close);
  }

  /** Has the thread run it, in its turn. */
  synchronized void later(String what, Runnable release) {
    tasks.add(new Task(what, release));
    notifyAll();
    if (!running) {
      running = true;
      Thread.ofPlatform().daemon().name("vfio-user disposal " + uid).start(this::run);
    }
  }

  private void run() {
    Task task;
    while ((task = next()) != null) {
      try {
        task.release.run();
      } catch (RuntimeException | Error e) {
        String what = task.what;
        Server.LOG.log(System.Logger.Level.ERROR, () -> "failed at " + what, e);
      }
    }
  }

  /** What is next; null if nothing has come for so long that the thread ends. */
  private synchronized @Nullable Task next() {
    current = null;
    notifyAll();
    long deadline = System.nanoTime() + LINGER_NANOS;
    while (tasks.isEmpty()) {
      long left = (deadline - System.nanoTime()) / 1_000_000;
      if (left <= 0 || !waited(left)) {
        running = false;
        return null;
      }
    }
    current = tasks.remove();
    current.since = System.nanoTime();
    notifyAll();
    return current;
  }

  /** One wait; who calls asks again what it waits for. Returns false if this thread is to end. */
  @SuppressWarnings("WaitNotInLoop")
  private synchronized boolean waited(long millis) {
    try {
      wait(millis);
      return true;
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /**
   * Waits while too much is waiting.
   *
   * @return false if there is too much of it for longer than {@link #PATIENCE_NANOS}
   */
  boolean awaitRoom() {
    return await(BACKLOG, System.nanoTime() + PATIENCE_NANOS);
  }

  /**
   * Waits until all is given back.
   *
   * @param deadline of {@link System#nanoTime}
   * @return whether it is; false also if one thing has taken three seconds, and may take for ever
   */
  boolean awaitDone(long deadline) {
    return await(0, deadline);
  }

  private synchronized boolean await(int most, long deadline) {
    while (tasks.size() > most || most == 0 && current != null) {
      long end = deadline;
      if (current != null && current.since + GRACE_NANOS - deadline < 0) {
        end = current.since + GRACE_NANOS;
      }
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0 || !waited(left)) {
        return false;
      }
    }
    return true;
  }

  /** What it is at for longer than it should take. Empty if nothing hangs. */
  synchronized Optional<String> hangs() {
    return current != null && System.nanoTime() - current.since > PATIENCE_NANOS
        ? Optional.of(current.what)
        : Optional.empty();
  }

  /** What it is at, however long. */
  synchronized String now() {
    return current == null ? "nothing" : current.what;
  }

  int uid() {
    return uid;
  }
}
