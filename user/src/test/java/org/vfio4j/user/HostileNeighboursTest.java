// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.user.device.Pci;

/**
 * A hostile client at one server, and clients of two other servers of the process, which must not
 * notice but for the processor time that is taken: their 99th percentile is printed beside the one
 * they have with a harmless client that takes as much.
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

  /** How often a neighbour has a round, so that it leaves time to be taken. */
  private static final long PACE_NANOS = 2_000_000;

  @TempDir Path folder = Path.of("");

  @Test
  void shouldNotLetAHostileClientTakeAnythingFromItsNeighbours() throws Exception {
    warmUp();
    Held before = Held.now();
    Usage least = Usage.now();
    long seconds = Math.max(1, SECONDS / 2);
    Phase hostile;
    Phase harmless;
    Usage most;
    String report;
    try (HostileVictim.Log log = new HostileVictim.Log();
        Neighbour first = new Neighbour(folder.resolve("n1"));
        Neighbour second = new Neighbour(folder.resolve("n2"));
        HostileVictim victim = new HostileVictim(folder.resolve("attacked"))) {
      HostileAttacks attacks = new HostileAttacks(victim, SEED);
      for (int n = 0; n < 20; n++) {
        // What the neighbours do is compiled meanwhile, so that both phases measure the same.
        attacks.attack();
      }
      Phase phase = new Phase(first, second);
      most = Usage.now();
      int connections = 0;
      while (phase.goesOn(seconds) || connections < RECONNECTS) {
        attacks.attack();
        connections++;
        most = most.or(Usage.now());
      }
      hostile = phase.end();
      harmless = harmlessly(seconds, hostile.load(), victim, first, second);
      stuckFile(victim, first, second);
      first.finish();
      second.finish();
      log.check();
      report = "%,d connections, %s".formatted(connections, attacks.report());
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
      HostileAttacks attacks = new HostileAttacks(victim, 1);
      for (int n = 0; n < 20; n++) {
        attacks.attack();
      }
    }
  }

  /** The same neighbours while a client does what clients do, for as much of the processor. */
  private static Phase harmlessly(
      long seconds, double load, HostileVictim victim, Neighbour first, Neighbour second)
      throws Exception {
    try (Client client = Client.connect(victim.path());
        Descriptor file = Memfd.sealed(Served.CALLS, "harmless", 1 << 20)) {
      Phase phase = new Phase(first, second);
      while (phase.goesOn(seconds)) {
        if (phase.load() < load) {
          client.map(0, 1 << 20, 3, file, 0);
          client.write64(Pci.BAR0, 0x1000, 1);
          client.read64(Pci.BAR0, 0x1000);
          client.unmap(0, 1 << 20);
        } else {
          LockSupport.parkNanos(100_000);
        }
      }
      return phase.end();
    } finally {
      victim.awaitLeft();
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

  /** A stretch of time, what it took, and how the neighbours did. */
  private static final class Phase {
    private final Neighbour first;
    private final Neighbour second;
    private final long begun = System.nanoTime();
    private final long processorBefore = processor();
    private long ended;
    private long used;
    private long[] latencies = {};

    Phase(Neighbour first, Neighbour second) {
      this.first = first;
      this.second = second;
      first.latencies();
      second.latencies();
    }

    private static long processor() {
      var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
      return system.getProcessCpuTime();
    }

    boolean goesOn(long seconds) {
      return System.nanoTime() - begun < Duration.ofSeconds(seconds).toNanos();
    }

    /** Processor time of all of the process, in cores. */
    double load() {
      return ended == 0
          ? (double) (processor() - processorBefore) / (System.nanoTime() - begun)
          : (double) used / (ended - begun);
    }

    Phase end() {
      used = processor() - processorBefore;
      ended = System.nanoTime();
      long[] one = first.latencies();
      long[] other = second.latencies();
      latencies = Arrays.copyOf(one, one.length + other.length);
      System.arraycopy(other, 0, latencies, one.length, other.length);
      Arrays.sort(latencies);
      return this;
    }

    String latency() {
      assertThat(latencies).as("rounds of the neighbours").hasSizeGreaterThan(100);
      return "%.0f and %.0f us".formatted(at(0.5), at(0.99));
    }

    private double at(double quantile) {
      return latencies[(int) (latencies.length * quantile)] / 1e3;
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
