// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.device.Pci;

/**
 * A hostile client at one server, and clients of two other servers of the process, which must not
 * notice but for the processor time that is taken: their median and 99th percentile are printed
 * beside those that they have with a harmless client that takes as much. Both clients are processes
 * of their own and work in turn, a second or less each, so that what else the machine does meets
 * both.
 *
 * <p>Ten minutes with 10,000 connections: {@code -Dvfio4j.neighbours.seconds=600
 * -Dvfio4j.neighbours.reconnects=10000}.
 */
@Timeout(value = 30, unit = TimeUnit.MINUTES)
class HostileNeighboursTest {
  private static final int SECONDS = Integer.getInteger("vfio4j.neighbours.seconds", 6);
  private static final int RECONNECTS = Integer.getInteger("vfio4j.neighbours.reconnects", 30);
  private static final long SEED = Long.getLong("vfio4j.seed", System.nanoTime() & 0xffff_ffffL);

  private static final long GIB = 1L << 30;

  /** How long each client works at a time. */
  private static final long TURN_MILLIS = Math.clamp(SECONDS * 1000L / 24, 200, 1000);

  /** Turns of both that are not measured: what they do is compiled meanwhile. */
  private static final int WARM_UP = 5;

  /** How often a neighbour has a round, so that it leaves time to be taken. */
  private static final long PACE_NANOS = 2_000_000;

  @TempDir Path folder = Path.of("");

  private final Phase hostile = new Phase();
  private final Phase harmless = new Phase();
  private Usage most = new Usage(0, 0, 0, 0);

  @Test
  void shouldNotLetAHostileClientTakeAnythingFromItsNeighbours() throws Exception {
    warmUp();
    Held before = Held.now();
    Usage least = Usage.now();
    String report;
    try (HostileVictim.Log log = new HostileVictim.Log();
        Neighbour first = new Neighbour(folder.resolve("n1"));
        Neighbour second = new Neighbour(folder.resolve("n2"));
        HostileVictim victim = new HostileVictim(folder.resolve("attacked"))) {
      report = inTurn(victim, first, second);
      victim.check();
      stuckFile(victim, first, second);
      first.finish();
      second.finish();
      log.check();
    }
    System.out.printf(
        "hostile neighbours: seed=%d, %s%n  neighbours' p50 and p99: %s with the hostile client,"
            + " %s with a harmless one%n  processor time: %.2f and %.2f of a core%n  most: %s%n",
        SEED, report, hostile.latency(), harmless.latency(), hostile.load(), harmless.load(), most);
    assertThat(most.threads() - least.threads()).as("threads").isLessThan(30);
    assertThat(most.descriptors() - least.descriptors()).as("descriptors").isLessThan(1000);
    assertThat(most.addressSpace() - least.addressSpace())
        .as("address space")
        .isLessThan(1100 * GIB);
    assertThat(most.resident() - least.resident()).as("memory").isLessThan(2 * GIB);
    assertThat(Held.now()).as("what is left").isEqualTo(before);
  }

  /** Classes, and threads that stay. */
  private void warmUp() throws Exception {
    try (HostileVictim.Log _ = new HostileVictim.Log();
        HostileVictim victim = new HostileVictim(folder.resolve("warm"))) {
      HostileAttacks attacks =
          new HostileAttacks(victim.path(), victim.gifts(), victim::awaitLeft, 1);
      for (int n = 0; n < 20; n++) {
        attacks.attack();
      }
    }
  }

  /** The hostile client and the harmless one by turns. Returns what the hostile one did. */
  private String inTurn(HostileVictim victim, Neighbour first, Neighbour second) throws Exception {
    long connections = 0;
    try (ClientProcess attacks =
            new ClientProcess(ClientProcess.Kind.HOSTILE, victim.path(), folder, SEED);
        ClientProcess use =
            new ClientProcess(ClientProcess.Kind.HARMLESS, victim.path(), folder, SEED)) {
      // So that the harmless one takes as much, it works for as much of the time as that needs.
      double share = 1;
      for (int turn = -WARM_UP;
          turn < 0 || hostile.seconds() + harmless.seconds() < SECONDS || connections < RECONNECTS;
          turn++) {
        if (turn == 0) {
          hostile.clear();
          harmless.clear();
        }
        connections += hostile.turn(attacks, 1, first, second);
        harmless.turn(use, share, first, second);
        double wanted = share * hostile.load() / harmless.load();
        share = Math.clamp((share + wanted) / 2, 0.02, 1);
      }
      attacks.finish();
      use.finish();
      return "%,d connections, %s".formatted(connections, attacks.report());
    }
  }

  /** Last, a file that cannot be closed: while it hangs, the neighbours go on. */
  private void stuckFile(HostileVictim victim, Neighbour first, Neighbour second) throws Exception {
    if (!Files.isWritable(Path.of("/dev/fuse"))
        || (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") != 0) {
      System.out.println("hostile neighbours: no FUSE here, or not root: that part is left out");
      return;
    }
    try (FuseMount mount = new FuseMount(Files.createDirectory(folder.resolve("fuse")))) {
      try (Client client = Client.connect(victim.path())) {
        Served.refused(Served.EINVAL, () -> client.map(0, 4096, 3, mount.file(), 0));
        long before = first.rounds() + second.rounds();
        while (first.rounds() + second.rounds() < before + 500) {
          client.read64(Pci.BAR0, 0x1000);
        }
      }
      victim.awaitLeft();
    }
  }

  /** What the process has. */
  private record Usage(int threads, long descriptors, long addressSpace, long resident) {
    static Usage now() throws Exception {
      long descriptors;
      try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
        descriptors = open.count();
      }
      String status = Files.readString(Path.of("/proc/self/status"));
      return new Usage(
          (int) field(status, "Threads:"),
          descriptors,
          field(status, "VmSize:") << 10,
          field(status, "VmRSS:") << 10);
    }

    private static long field(String status, String name) {
      String line = status.lines().filter(l -> l.startsWith(name)).findFirst().orElseThrow();
      return Long.parseLong(line.replaceAll("[^0-9]", ""));
    }

    Usage or(Usage other) {
      return new Usage(
          Math.max(threads, other.threads),
          Math.max(descriptors, other.descriptors),
          Math.max(addressSpace, other.addressSpace),
          Math.max(resident, other.resident));
    }

    @Override
    public String toString() {
      return "%d threads, %d descriptors, %,d GiB of address space, %,d MiB of memory"
          .formatted(threads, descriptors, addressSpace >> 30, resident >> 20);
    }
  }

  /** The turns of one client, what they took, and how the neighbours did meanwhile. */
  private final class Phase {
    private long nanos;
    private long used;
    private long[] latencies = {};

    void clear() {
      nanos = 0;
      used = 0;
      latencies = new long[0];
    }

    /** Has it work for a turn. Returns how many connections it made. */
    long turn(ClientProcess client, double share, Neighbour first, Neighbour second)
        throws Exception {
      first.latencies();
      second.latencies();
      long processor = ClientProcess.processor();
      long begun = System.nanoTime();
      ClientProcess.Done done = client.work(TURN_MILLIS, share, () -> most = most.or(Usage.now()));
      nanos += System.nanoTime() - begun;
      used += ClientProcess.processor() - processor + done.processorNanos();
      add(first.latencies());
      add(second.latencies());
      return done.connections();
    }

    private void add(long[] more) {
      int count = latencies.length;
      latencies = Arrays.copyOf(latencies, count + more.length);
      System.arraycopy(more, 0, latencies, count, more.length);
    }

    double seconds() {
      return nanos / 1e9;
    }

    /** Processor time of this process and the client's, in cores. */
    double load() {
      return (double) used / nanos;
    }

    String latency() {
      assertThat(latencies).as("rounds of the neighbours").hasSizeGreaterThan(100);
      long[] sorted = latencies.clone();
      Arrays.sort(sorted);
      return "%.0f and %.0f us".formatted(at(sorted, 0.5), at(sorted, 0.99));
    }

    private static double at(long[] sorted, double quantile) {
      return sorted[(int) (sorted.length * quantile)] / 1e3;
    }
  }

  /** Has a round at a time, at a pace of its own, and notes how long each took. */
  private static final class Neighbour implements AutoCloseable {
    private final HostileNeighbour neighbour;
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final Thread thread;
    private long[] latencies = new long[1024];
    private int count;
    private long rounds;
    private volatile boolean stop;

    Neighbour(Path path) {
      neighbour = new HostileNeighbour(path);
      thread = Thread.ofPlatform().name("neighbour").start(this::run);
    }

    private void run() {
      try {
        while (!stop) {
          long begun = System.nanoTime();
          neighbour.round();
          note(System.nanoTime() - begun);
          LockSupport.parkNanos(PACE_NANOS);
        }
      } catch (Throwable t) {
        failure.set(t);
      }
    }

    private synchronized void note(long nanos) {
      if (count == latencies.length) {
        latencies = Arrays.copyOf(latencies, 2 * count);
      }
      latencies[count++] = nanos;
      rounds++;
    }

    synchronized long rounds() {
      assertThat(failure.get()).isNull();
      return rounds;
    }

    /** Those since the last call. */
    synchronized long[] latencies() {
      long[] taken = Arrays.copyOf(latencies, count);
      count = 0;
      return taken;
    }

    void finish() throws InterruptedException {
      stop = true;
      thread.join();
      assertThat(failure.get()).isNull();
      neighbour.check();
    }

    @Override
    public void close() {
      stop = true;
      neighbour.close();
    }
  }
}
