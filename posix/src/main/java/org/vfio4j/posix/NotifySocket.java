// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * The socket on which a service manager hears of its services, in systemd's protocol ({@code
 * sd_notify(3)}, file descriptor store): {@code FDSTORE}, {@code FDSTOREREMOVE}, {@code READY}.
 * Whatever was sent before this process died counts.
 */
public final class NotifySocket implements DescriptorStore, AutoCloseable {
  /** Where the service manager listens. */
  public static final String NOTIFY_SOCKET = "NOTIFY_SOCKET";

  /**
   * How many descriptors it keeps. systemd says so from version 254 on; with an older one the unit
   * has to ({@code Environment=FDSTORE=4096} beside {@code FileDescriptorStoreMax=4096}).
   */
  public static final String FDSTORE = "FDSTORE";

  private static final int ENOSPC = 28;
  private static final int ENOTCONN = 107;

  /** What sending answers when nobody listens any more. */
  private static final Set<Integer> GONE =
      Set.of(ErrnoNames.ECONNREFUSED, ErrnoNames.ECONNRESET, ENOTCONN);

  private static final long BARRIER_SECONDS = 30;

  private final UnixSocket socket;
  private final int most;
  private final Set<String> names = new HashSet<>();

  private NotifySocket(UnixSocket socket, int most) {
    this.socket = socket;
    this.most = most;
  }

  /**
   * The one that this process was started with; empty if nobody keeps descriptors for it.
   *
   * @param environment the process's
   * @throws SystemCallException if nobody listens there
   * @throws NumberFormatException if {@value #FDSTORE} is no number
   * @throws IllegalArgumentException for an abstract socket, which is not supported
   */
  public static Optional<NotifySocket> of(SystemCalls calls, Map<String, String> environment) {
    String path = environment.getOrDefault(NOTIFY_SOCKET, "");
    int most = Integer.parseInt(environment.getOrDefault(FDSTORE, "0"));
    if (path.isEmpty() || most <= 0) {
      return Optional.empty();
    }
    if (path.startsWith("@")) {
      throw new IllegalArgumentException(NOTIFY_SOCKET + " is abstract: " + path);
    }
    return Optional.of(new NotifySocket(UnixSocket.datagrams(calls, Path.of(path)), most));
  }

  /** Says that the service has started. */
  public synchronized void ready() {
    send("READY=1", Uses.NONE);
  }

  @Override
  public synchronized void keep(String name, Descriptor file) {
    check(name);
    if (names.contains(name)) {
      throw new IllegalStateException(name + " is kept already");
    }
    if (names.size() >= most) {
      throw new SystemCallException(
          "keep %s: the descriptor store has room for %d".formatted(name, most), ENOSPC);
    }
    try (Uses uses = Uses.of(List.of(file))) {
      send("FDSTORE=1\nFDNAME=" + name, uses);
    }
    names.add(name);
  }

  private static void check(String name) {
    if (!name.matches("[A-Za-z0-9.]{1,%d}".formatted(MAX_NAME))) {
      throw new IllegalArgumentException("no name for a descriptor: " + name);
    }
  }

  /** A barrier behind the message says when it was read. */
  @Override
  public void forget(String name) {
    try {
      synchronized (this) {
        names.remove(name);
        send("FDSTOREREMOVE=1\nFDNAME=" + name, Uses.NONE);
      }
      barrier();
    } catch (SystemCallException e) {
      // Who keeps nothing for us any more has nothing to forget.
      if (!GONE.contains(e.errno())) {
        throw e;
      }
    }
  }

  @Override
  public synchronized Descriptor heldAs(String name, Descriptor given) {
    names.add(name);
    return DescriptorStore.super.heldAs(name, given);
  }

  /** Waits until all that was sent to the store before, by whomever, has been read. */
  public void barrier() {
    // A descriptor that is sent along is closed when the message has been read.
    UnixSocket[] pair = UnixSocket.pair(socket.descriptor().calls());
    try (UnixSocket ours = pair[0]) {
      try (UnixSocket theirs = pair[1];
          Uses uses = Uses.of(List.of(theirs.descriptor()))) {
        synchronized (this) {
          send("BARRIER=1", uses);
        }
      }
      if (!ours.awaitUntil(System.nanoTime() + TimeUnit.SECONDS.toNanos(BARRIER_SECONDS))) {
        throw new SystemCallException("wait for the descriptor store", ErrnoNames.EAGAIN);
      }
    }
  }

  private void send(String text, Uses beside) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    try (Arena arena = Arena.ofConfined()) {
      socket.send(arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes), 0, bytes.length, beside);
    }
  }

  @Override
  public synchronized void close() {
    socket.close();
  }
}
