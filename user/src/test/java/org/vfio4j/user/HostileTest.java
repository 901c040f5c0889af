// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.posix.Constants;
import org.vfio4j.linux.posix.Descriptor;
import org.vfio4j.linux.posix.EventFd;
import org.vfio4j.linux.posix.MappedMemory;
import org.vfio4j.linux.posix.Memfd;
import org.vfio4j.linux.posix.SystemCalls;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.Command;

/**
 * Clients that send nonsense. In the normal build some 20,000 messages; {@code
 * -Dvfio4j.hostile.messages=1000000} for more, {@code -Dvfio4j.hostile.seed=N} to have the same
 * again.
 */
class HostileTest {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final int MESSAGES = Integer.getInteger("vfio4j.hostile.messages", 20_000);
  private static final long SEED =
      Long.getLong("vfio4j.hostile.seed", System.nanoTime() & 0xffff_ffffL);

  /** Messages of one connection, if the server does not end it before. */
  private static final int PER_CONNECTION = 500;

  /** Hostile connections at a time, each to a server of its own. */
  private static final int CLIENTS = 2;

  private static final Logger LOG = Logger.getLogger("org.vfio4j.user");

  @TempDir Path folder = Path.of("");
  private final Level level = LOG.getLevel();

  @BeforeEach
  void beQuiet() {
    LOG.setLevel(Level.OFF);
  }

  @AfterEach
  void beLoudAgain() {
    LOG.setLevel(level);
  }

  @Test
  void shouldSurviveHostileClients() throws Exception {
    Held before = Held.now();
    long start = System.nanoTime();
    HostileClient.Counts counts = new HostileClient.Counts();
    try (Neighbour neighbour = new Neighbour(folder.resolve("neighbour"))) {
      List<Attack> attacks = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        attacks.add(new Attack(folder.resolve("s" + i), new Random(SEED + i), counts));
      }
      for (Attack attack : attacks) {
        attack.finish();
      }
      neighbour.finish();
      report(counts, neighbour.rounds, System.nanoTime() - start);
    }
    assertThat(Held.now()).isEqualTo(before);
  }

  /** A client of another server in this process, which must not notice. */
  private static final class Neighbour implements AutoCloseable {
    private final ProbeDevice device = new ProbeDevice();
    private final Server server;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread thread;
    private final Path path;
    private long rounds;

    Neighbour(Path path) {
      this.path = path;
      server = Server.at(path).start(device);
      thread = new Thread(this::run, "neighbour");
      thread.start();
    }

    private void run() {
      try (Client client = Client.connect(path);
          Descriptor file = Memfd.create(CALLS, "neighbour", 1 << 16)) {
        while (!stop.get()) {
          client.write64(Pci.BAR0, 0x1000, rounds);
          client.map(rounds << 20, 1 << 16, 3, file, 0);
          assertThat(client.read64(Pci.BAR0, 0x1000)).isEqualTo(rounds);
          client.unmap(rounds << 20, 1 << 16);
          rounds++;
        }
      } catch (Throwable t) {
        failure.set(t);
      }
    }

    void finish() throws InterruptedException {
      stop.set(true);
      thread.join();
      assertThat(failure.get()).isNull();
      assertThat(device.violation.get()).isEmpty();
      assertThat(device.attaches.get()).isEqualTo(1);
      assertThat(rounds).isPositive();
    }

    @Override
    public void close() {
      stop.set(true);
      server.close();
      device.close();
    }
  }

  /** Connections, one after the other, to one server. */
  private static final class Attack {
    private final Path path;
    private final Random random;
    private final HostileClient.Counts counts;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread thread = new Thread(this::run, "attack");

    Attack(Path path, Random random, HostileClient.Counts counts) {
      this.path = path;
      this.random = random;
      this.counts = counts;
      thread.start();
    }

    private void run() {
      int prot = Constants.PROT_READ | Constants.PROT_WRITE;
      try (ProbeDevice device = new ProbeDevice();
          Server _ = Server.at(path).start(device);
          Descriptor memory = Memfd.create(CALLS, "hostile memory", 1 << 18);
          Descriptor little = Memfd.create(CALLS, "hostile, too short", 4096);
          Descriptor none = Descriptor.open(CALLS, "/dev/null", Constants.O_RDWR);
          Descriptor secret = Memfd.create(CALLS, "secret", 1 << 16);
          MappedMemory canary = MappedMemory.ofFile(secret, 0, 1 << 16, prot);
          EventFd event = EventFd.create(CALLS)) {
        canary.segment().fill((byte) 0x5a);
        int[] descriptors = {
          memory.number(), memory.number(), little.number(), none.number(), event.number()
        };
        int left = MESSAGES / CLIENTS;
        while (left > 0) {
          try (HostileClient client = new HostileClient(path, random, descriptors, counts)) {
            left -= client.run(Math.min(left, PER_CONNECTION));
          }
        }
        try (Client client = Client.connect(path)) {
          client.write32(Pci.BAR0, 0x1000, 77);
          assertThat(client.read32(Pci.BAR0, 0x1000)).as("still serves").isEqualTo(77);
        }
        assertThat(device.violation.get()).as("access outside of a region").isEmpty();
        MemorySegment bytes = canary.segment();
        for (long at = 0; at < bytes.byteSize(); at++) {
          assertThat(bytes.get(ValueLayout.JAVA_BYTE, at)).isEqualTo((byte) 0x5a);
        }
      } catch (Throwable t) {
        failure.set(t);
      }
    }

    void finish() throws InterruptedException {
      thread.join();
      assertThat(failure.get()).as("seed=%d", SEED).isNull();
    }
  }

  private static void report(HostileClient.Counts counts, long neighbour, long nanos) {
    StringBuilder text = new StringBuilder();
    long sent = 0;
    long handled = 0;
    long all = 0;
    for (int command = 0; command < 32; command++) {
      long replies = counts.of(command);
      sent += counts.sent.get(command);
      all += replies;
      boolean known = !Command.name(command).startsWith("command ");
      handled += known ? replies : 0;
      if (replies > 0) {
        text.append("  %-20s".formatted(Command.name(command)));
        for (int errno = 0; errno < 256; errno++) {
          if (counts.of(command, errno) > 0) {
            text.append(errno == 0 ? " done" : " errno " + errno);
            text.append("=%d".formatted(counts.of(command, errno)));
          }
        }
        text.append('\n');
      }
    }
    System.out.printf(
        "hostile clients: seed=%d, %,d messages sent, %,d answered, %,d of them by a handler, "
            + "%,d rounds of a neighbour, %.1f s%n%s",
        SEED, sent, all, handled, neighbour, nanos / 1e9, text);
    assertThat(sent).isGreaterThanOrEqualTo(MESSAGES / CLIENTS * CLIENTS);
    assertThat(handled).as("reached a handler").isGreaterThan(sent / 3);
  }
}
