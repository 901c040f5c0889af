// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.ClientPages;
import org.vfio4j.user.device.Pci;

/** A server that hostile clients come to, what they hand to it, and what must not change. */
final class HostileVictim implements AutoCloseable {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int MEMORY = 1 << 18;
  private static final int SECRET = 1 << 16;
  private static final byte CANARY = 0x5a;

  private final ProbeDevice device = new ProbeDevice();
  private final Semaphore left = new Semaphore(0);
  private final ClientPages sealed = ClientPages.sealed(MEMORY);
  private final ClientPages unsealed = ClientPages.unsealed(MEMORY);
  private final Descriptor little = Memfd.create(CALLS, "hostile, too short", 4096);
  private final Descriptor secret = Memfd.create(CALLS, "secret", SECRET);
  private final MappedMemory canary =
      MappedMemory.ofFile(secret, 0, SECRET, Constants.PROT_READ | Constants.PROT_WRITE);
  private final Descriptor readOnly =
      Descriptor.open(CALLS, "/proc/self/fd/" + number(secret), Constants.O_RDONLY);
  private final EventFd event = EventFd.create(CALLS);
  private final EventFd full = full();
  private final Descriptor pipe;
  private final Descriptor none = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR);
  private final Arena arena = Arena.ofShared();
  private final MemorySegment expected = arena.allocate(SECRET);
  private final Server server;

  /** Starts a server at a path, in a folder that others may be in. */
  HostileVictim(Path path) throws IOException, InterruptedException {
    pipe = pipe(path.resolveSibling(path.getFileName() + ".pipe"));
    expected.fill(CANARY);
    canary.segment().copyFrom(expected);
    server =
        Server.at(path)
            .events(
                new Server.Events() {
                  @Override
                  public void disconnected(Credentials peer, String why) {
                    left.release();
                  }
                })
            .start(device);
  }

  private static Descriptor pipe(Path path) throws IOException, InterruptedException {
    assertThat(new ProcessBuilder("mkfifo", path.toString()).start().waitFor()).isZero();
    try {
      return Descriptor.open(CALLS, path.toString(), Constants.O_RDWR | Constants.O_NONBLOCK);
    } finally {
      Files.delete(path);
    }
  }

  /** Who signals it finds a counter that takes no more, and would wait until it does. */
  private static EventFd full() {
    int fd = SystemCallException.check(CALLS.eventfd(0, Constants.EFD_CLOEXEC), "eventfd");
    try (Arena local = Arena.ofConfined()) {
      MemorySegment most = local.allocateFrom(ValueLayout.JAVA_LONG, -2L);
      SystemCallException.check(CALLS.write(fd, most, Long.BYTES), "write");
    }
    return EventFd.of(new Descriptor(CALLS, fd, "full eventfd"));
  }

  Path path() {
    return server.path();
  }

  ProbeDevice device() {
    return device;
  }

  /**
   * What clients hand over: memory that stays, memory that can shrink, memory that is too short,
   * memory that is not to be written, an eventfd, one that is full and blocks, a pipe, and nothing
   * useful.
   */
  List<Descriptor> descriptors() {
    return List.of(
        sealed.file().orElseThrow(),
        unsealed.file().orElseThrow(),
        little,
        readOnly,
        event.descriptor(),
        full.descriptor(),
        pipe,
        none);
  }

  /** Lets the memory that can shrink have so many pages; all of them is 64. */
  void truncate(int pages) {
    unsealed.truncate(Math.min((long) pages << 12, MEMORY));
  }

  /** Waits until the server has done with a client that has left. */
  void awaitLeft() throws InterruptedException {
    assertThat(left.tryAcquire(60, TimeUnit.SECONDS)).as("is done with who left").isTrue();
  }

  /** No access outside of a region, none to memory that was never given for writing. */
  void check() {
    assertThat(device.violation.get()).as("access outside of a region").isEmpty();
    assertThat(expected.mismatch(canary.segment())).as("first byte changed").isEqualTo(-1);
  }

  /** It still does what it is for. */
  void checkServes() {
    try (Client client = Client.connect(path())) {
      client.write32(Pci.BAR0, 0x1000, 77);
      assertThat(client.read32(Pci.BAR0, 0x1000)).as("still serves").isEqualTo(77);
    }
  }

  @Override
  public void close() {
    server.close();
    device.close();
    sealed.close();
    unsealed.close();
    little.close();
    readOnly.close();
    canary.close();
    secret.close();
    event.close();
    full.close();
    pipe.close();
    none.close();
    arena.close();
  }

  /**
   * Keeps the log quiet; an exception that a server did not expect is in it, and fails the test.
   */
  static final class Log extends Handler implements AutoCloseable {
    private final Logger logger = Logger.getLogger("org.vfio4j.user");
    private final Level level = logger.getLevel();
    private final AtomicReference<String> first = new AtomicReference<>("");

    Log() {
      logger.setLevel(Level.SEVERE);
      logger.setUseParentHandlers(false);
      logger.addHandler(this);
    }

    @Override
    public void publish(LogRecord entry) {
      first.compareAndSet("", new SimpleFormatter().format(entry));
    }

    /** What was told first; empty if nothing was. */
    String first() {
      return first.get();
    }

    void check() {
      assertThat(first.get()).as("what a server did not expect").isEmpty();
    }

    @Override
    public void flush() {}

    @Override
    public void close() {
      logger.removeHandler(this);
      logger.setUseParentHandlers(true);
      logger.setLevel(level);
    }
  }
}
