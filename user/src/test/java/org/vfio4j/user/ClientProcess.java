// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.user.device.Pci;

/**
 * A client in a process of its own, as those of a server are: what it takes of its own process,
 * threads that start, memory that is mapped and collected, is then none of the server's. It works
 * for as long as it is told, then waits to be told again.
 */
final class ClientProcess implements AutoCloseable {
  private static final long SAMPLE_MILLIS = 50;
  private static final int POSTS = 32;
  private static final int MIB = 1 << 20;

  private final Process process;
  private final BufferedWriter orders;
  private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();
  private String report = "";

  /** Which client. */
  enum Kind {
    /** {@link HostileAttacks}, one connection after the other. */
    HOSTILE,

    /** What drivers do: maps, registers, posted writes, unmaps. */
    HARMLESS
  }

  /**
   * What it did when told.
   *
   * @param connections made, or rounds of one who stays connected
   * @param processorNanos what its process took
   */
  record Done(long connections, long processorNanos) {}

  /** What is looked at while it works. */
  interface Sample {
    void take() throws Exception;
  }

  /** Starts it; it does nothing yet. */
  ClientProcess(Kind kind, Path server, Path folder, long seed) throws IOException {
    process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                "-classpath",
                TestClassPath.all(),
                ClientProcess.class.getName(),
                kind.name(),
                server.toString(),
                folder.resolve(kind + ".pipe").toString(),
                Long.toString(seed))
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    orders = process.outputWriter();
    Thread.ofPlatform().daemon().name(kind + " answers").start(this::read);
  }

  private void read() {
    try (BufferedReader lines = process.inputReader()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        answers.add(line);
      }
    } catch (IOException _) {
      // It has gone.
    }
    answers.add("");
  }

  /**
   * Has it work, and waits.
   *
   * @param share of the time that it works, at most 1
   */
  Done work(long millis, double share, Sample sample) throws Exception {
    orders.write(millis + " " + share + "\n");
    orders.flush();
    String answer;
    while ((answer = answers.poll(SAMPLE_MILLIS, TimeUnit.MILLISECONDS)) == null) {
      sample.take();
    }
    assertThat(answer)
        .as("what the client's process says, which has told why it ended")
        .isNotEmpty();
    String[] fields = answer.split(" ", 3);
    report = fields[2];
    return new Done(Long.parseLong(fields[0]), Long.parseLong(fields[1]));
  }

  /** What it did since it began, in words. */
  String report() {
    return report;
  }

  /** Has it check what it handed over, and waits until it has ended. */
  void finish() throws Exception {
    orders.close();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("the client's process ends").isTrue();
    assertThat(process.exitValue()).as("it found nothing wrong").isZero();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }

  /** The process: a line for each time that it works. */
  public static void main(String[] args) throws Exception {
    Path server = Path.of(args[1]);
    try (BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        HostileGifts gifts = new HostileGifts(Path.of(args[2]))) {
      // It does not wait for the server to have done with one connection before the next.
      HostileAttacks attacks = new HostileAttacks(server, gifts, () -> {}, Long.parseLong(args[3]));
      boolean hostile = Kind.valueOf(args[0]) == Kind.HOSTILE;
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String[] fields = line.split(" ");
        long nanos = TimeUnit.MILLISECONDS.toNanos(Long.parseLong(fields[0]));
        double share = Double.parseDouble(fields[1]);
        long before = processor();
        long done = hostile ? attack(attacks, nanos) : use(server, nanos, share);
        System.out.printf("%d %d %s%n", done, processor() - before, attacks.report());
      }
      gifts.check();
    }
  }

  private static long attack(HostileAttacks attacks, long nanos) throws Exception {
    long begun = System.nanoTime();
    long connections = 0;
    while (System.nanoTime() - begun < nanos) {
      attacks.attack();
      connections++;
    }
    return connections;
  }

  private static long use(Path server, long nanos, double share) {
    long rounds = 0;
    try (Client client = Client.connect(server);
        Arena arena = Arena.ofConfined();
        Descriptor file = Memfd.sealed(Served.CALLS, "harmless", MIB)) {
      MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
      long begun = System.nanoTime();
      long worked = 0;
      long now;
      while ((now = System.nanoTime()) - begun < nanos) {
        if (worked <= share * (now - begun)) {
          client.map(0, MIB, 3, file, 0);
          for (int n = 0; n < POSTS; n++) {
            client.post(Pci.BAR0, 0x1000, value, 0, Integer.BYTES);
          }
          client.read64(Pci.BAR0, 0x1000);
          client.unmap(0, MIB);
          worked += System.nanoTime() - now;
          rounds++;
        } else {
          LockSupport.parkNanos(100_000);
        }
      }
    }
    return rounds;
  }

  /** Processor time of this process, in nanoseconds. */
  static long processor() {
    var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime();
  }
}
