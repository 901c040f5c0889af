// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The other end of a {@link NotifySocket}: keeps descriptors for a process, as a service manager
 * does. What it does not know it ignores, and closes what came with it.
 */
public final class NotifyListener implements AutoCloseable {
  private static final int LONGEST = 4096;

  private final UnixSocket socket;
  private final Path path;
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment message = arena.allocate(LONGEST);
  private final Map<String, Descriptor> kept = new LinkedHashMap<>();
  private boolean ready;
  private volatile boolean closed;

  private NotifyListener(UnixSocket socket, Path path) {
    this.socket = socket;
    this.path = path;
  }

  /**
   * Listens at a path, in a folder that nobody else can write to.
   *
   * @throws SystemCallException if that is not possible
   */
  public static NotifyListener at(SystemCalls calls, Path path) {
    Descriptor file = UnixSocket.ofType(calls, Constants.SOCK_DGRAM, path.toString());
    boolean done = false;
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = file.use()) {
      MemorySegment address = UnixAddress.of(arena, path);
      int result = calls.bind(use.number(), address, (int) address.byteSize());
      SystemCallException.check(result, "bind to " + path);
      NotifyListener listener = new NotifyListener(UnixSocket.of(file), path);
      done = true;
      return listener;
    } finally {
      if (!done) {
        file.close();
      }
    }
  }

  /** Reads messages until it is closed; for a thread of its own. */
  public void run() {
    while (!closed) {
      try {
        long length = socket.receive(message, 0, LONGEST);
        read(
            new String(
                message.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE),
                StandardCharsets.US_ASCII));
        socket.dropDescriptors();
      } catch (SystemCallException failed) {
        // Memory may be there again for the next; a socket that is closed ends this.
        Thread.onSpinWait();
      }
    }
  }

  /** From now on {@link #awaitReady} waits for another process to say that it is. */
  public synchronized void expect() {
    ready = false;
  }

  /**
   * Waits until a process has said that it has started.
   *
   * @return whether it has, within a time
   */
  public synchronized boolean awaitReady(Duration time) throws InterruptedException {
    long deadline = System.nanoTime() + time.toNanos();
    while (!ready && deadline - System.nanoTime() > 0) {
      TimeUnit.NANOSECONDS.timedWait(this, deadline - System.nanoTime());
    }
    return ready;
  }

  private synchronized void read(String text) {
    Map<String, String> fields = new LinkedHashMap<>();
    for (String line : text.split("\n", -1)) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        fields.put(line.substring(0, equals), line.substring(equals + 1));
      }
    }
    if (fields.containsKey("READY")) {
      ready = true;
      notifyAll();
    }
    String name = fields.getOrDefault("FDNAME", "stored");
    if (fields.containsKey("FDSTORE") && socket.descriptors() == 1) {
      close(kept.put(name, socket.takeDescriptor(0, name)));
    }
    if (fields.containsKey("FDSTOREREMOVE")) {
      close(kept.remove(name));
    }
  }

  private static void close(@Nullable Descriptor file) {
    if (file != null) {
      file.close();
    }
  }

  /** What is kept now, by its names. It stays this object's. */
  public synchronized Map<String, Descriptor> kept() {
    return new LinkedHashMap<>(kept);
  }

  /** Where it listens. */
  public Path path() {
    return path;
  }

  /** Closes what is kept, and ends {@link #run}. */
  @Override
  public void close() {
    closed = true;
    socket.shutdown();
    synchronized (this) {
      kept.values().forEach(Descriptor::close);
      kept.clear();
    }
    socket.descriptor().close();
    path.toFile().delete();
  }
}
