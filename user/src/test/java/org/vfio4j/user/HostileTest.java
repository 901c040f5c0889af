// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Clients that send nonsense. In the normal build some 20,000 messages; {@code
 * -Dvfio4j.hostile.messages=1000000} for more, {@code -Dvfio4j.hostile.seed=N} to have the same
 * again.
 */
class HostileTest {
  private static final int MESSAGES = Integer.getInteger("vfio4j.hostile.messages", 20_000);
  private static final long SEED =
      Long.getLong("vfio4j.hostile.seed", System.nanoTime() & 0xffff_ffffL);

  /** Messages of one connection, if the server does not end it before. */
  private static final int PER_CONNECTION = 500;

  /** Hostile connections at a time, each to a server of its own. */
  private static final int CLIENTS = 2;

  @TempDir Path folder = Path.of("");

  @Test
  void shouldSurviveHostileClients() throws Exception {
    Held before = Held.now();
    long start = System.nanoTime();
    HostileCounts counts = new HostileCounts();
    try (HostileVictim.Log log = new HostileVictim.Log();
        Neighbour neighbour = new Neighbour(folder.resolve("neighbour"))) {
      List<Attack> attacks = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        attacks.add(new Attack(folder.resolve("s" + i), new Random(SEED + i), counts));
      }
      for (Attack attack : attacks) {
        attack.finish();
      }
      long rounds = neighbour.finish();
      System.out.printf(
          "hostile clients: seed=%d, %,d rounds of a neighbour, %.1f s, %s%n",
          SEED, rounds, (System.nanoTime() - start) / 1e9, counts.report());
      log.check();
    }
    assertThat(counts.sent()).isGreaterThanOrEqualTo((long) MESSAGES / CLIENTS * CLIENTS);
    assertThat(counts.handled()).as("reached a handler").isGreaterThan(counts.sent() / 3);
    assertThat(Held.now()).isEqualTo(before);
  }

  /** Has rounds of a neighbour without a pause. */
  private static final class Neighbour implements AutoCloseable {
    private final HostileNeighbour neighbour;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread thread;

    Neighbour(Path path) {
      neighbour = new HostileNeighbour(path);
      thread = new Thread(this::run, "neighbour");
      thread.start();
    }

    private void run() {
      try {
        while (!stop.get()) {
          neighbour.round();
        }
      } catch (Throwable t) {
        failure.set(t);
      }
    }

    long finish() throws InterruptedException {
      stop.set(true);
      thread.join();
      assertThat(failure.get()).isNull();
      neighbour.check();
      return neighbour.rounds();
    }

    @Override
    public void close() {
      stop.set(true);
      neighbour.close();
    }
  }

  /** Connections, one after the other, to one server. */
  private static final class Attack {
    private final Path path;
    private final Random random;
    private final HostileCounts counts;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread thread = new Thread(this::run, "attack");

    Attack(Path path, Random random, HostileCounts counts) {
      this.path = path;
      this.random = random;
      this.counts = counts;
      thread.start();
    }

    private void run() {
      try (HostileVictim victim = new HostileVictim(path)) {
        int left = MESSAGES / CLIENTS;
        while (left > 0) {
          left -=
              HostileMessages.sendTo(
                  victim.path(), victim.gifts(), random, counts, Math.min(left, PER_CONNECTION));
        }
        victim.checkServes();
        victim.check();
      } catch (Throwable t) {
        failure.set(t);
      }
    }

    void finish() throws InterruptedException {
      thread.join();
      assertThat(failure.get()).as("seed=%d", SEED).isNull();
    }
  }
}
