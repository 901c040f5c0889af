// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.vfio4j.posix.UnixSocket.Credentials;
import org.vfio4j.user.device.Pci;

/** A server that hostile clients come to, what they hand to it, and what must not change. */
final class HostileVictim implements AutoCloseable {
  private final ProbeDevice device = new ProbeDevice();
  private final Semaphore left = new Semaphore(0);
  private final HostileGifts gifts;
  private final Server server;

  /** Starts a server at a path, in a folder that others may be in. */
  HostileVictim(Path path) throws IOException, InterruptedException {
    gifts = new HostileGifts(path.resolveSibling(path.getFileName() + ".pipe"));
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

  Path path() {
    return server.path();
  }

  /** What clients hand over. */
  HostileGifts gifts() {
    return gifts;
  }

  ProbeDevice device() {
    return device;
  }

  /** Waits until the server has done with a client that has left. */
  void awaitLeft() throws InterruptedException {
    assertThat(left.tryAcquire(60, TimeUnit.SECONDS)).as("is done with who left").isTrue();
  }

  /** No access outside of a region, none to memory that was never given for writing. */
  void check() {
    assertThat(device.violation.get()).as("access outside of a region").isEmpty();
    gifts.check();
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
    gifts.close();
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
