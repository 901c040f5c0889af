// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Edu;

/**
 * An edu in QEMU whose {@code vfio up} is killed again and again, under {@code vfio keep}: {@code
 * vm-bench}, suite kept, which says with {@code vfio4j.vfio} where the command is.
 */
@Tag("kept")
@Timeout(300)
class EduKeptTest {
  private static final long PLACE = 0xc000_0000L;
  private static final int DEATHS = Integer.getInteger("vfio4j.deaths.rounds", 20);
  private static final long ROUND = 1_200_000_000L;
  private static final long FROM = 0x10_0000L;
  private static final long TO = 0x20_0000L;

  @TempDir Path folder = Path.of("");

  /** The longest that an answer or an interrupt has taken, and when it came. */
  private long longest;

  private long longestEnd;

  private void timed(Runnable command) {
    long begin = System.nanoTime();
    command.run();
    long end = System.nanoTime();
    if (end - begin > longest) {
      longest = end - begin;
      longestEnd = end;
    }
  }

  private int read(Qtest qtest, int register) {
    int[] value = new int[1];
    timed(() -> value[0] = qtest.readl(PLACE + register));
    return value[0];
  }

  private void write(Qtest qtest, int register, long value) {
    timed(() -> qtest.writel(PLACE + register, value));
  }

  private void dma(Qtest qtest, long from, long to, int count, int command) {
    timed(() -> qtest.writeq(PLACE + 0x80, from));
    timed(() -> qtest.writeq(PLACE + 0x88, to));
    timed(() -> qtest.writeq(PLACE + 0x90, count));
    write(qtest, 0x98, command);
    qtest.await("the end of the DMA", () -> (read(qtest, 0x98) & 1) == 0);
  }

  /** Everything that the device can, and every register as it must be. */
  private void use(Qtest qtest, int n) {
    assertThat(read(qtest, 0)).isEqualTo(0x0100_00ed);
    write(qtest, 4, n);
    assertThat(read(qtest, 4)).isEqualTo(~n);
    write(qtest, 8, 10);
    qtest.await("10!", () -> (read(qtest, 0x20) & 1) == 0);
    assertThat(read(qtest, 8)).isEqualTo(3_628_800);
    byte[] data = new byte[600];
    Arrays.fill(data, (byte) n);
    qtest.writeBytes(FROM, data);
    dma(qtest, FROM, Edu.BUFFER + 8, data.length, 1);
    dma(qtest, Edu.BUFFER + 8, TO, data.length, 3);
    assertThat(qtest.readBytes(TO, data.length)).isEqualTo(data);
    write(qtest, 0x60, 0x11);
    timed(() -> qtest.await("the pin", () -> !qtest.raised().isEmpty()));
    assertThat(read(qtest, 0x24)).isEqualTo(0x11);
    write(qtest, 0x64, 0x11);
    assertThat(read(qtest, 0x24)).isZero();
    assertThat(qtest.raised()).isEmpty();
    assertThat(read(qtest, 4)).isEqualTo(~n);
  }

  /** The process that serves. */
  private static ProcessHandle served(Process keep) {
    return keep.children().findFirst().orElseThrow();
  }

  @Test
  void shouldHaveEveryRegisterRightHoweverOftenItsProcessIsKilled() throws Exception {
    String vfio = System.getProperty("vfio4j.vfio", "");
    assumeTrue(!vfio.isEmpty(), "needs the command: -Dvfio4j.vfio=PATH");
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    Random random = new Random(seed);
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    Path request = folder.resolve("vms.yaml");
    Files.writeString(request, "vms: {box: {devices: [{device: edu}]}}");
    Path sockets = folder.resolve("s");
    Path log = folder.resolve("keep.log");
    List<String> up = List.of(vfio, "up", request.toString(), "--folder", sockets.toString());
    List<String> command = new ArrayList<>(List.of(vfio, "keep", "--"));
    command.addAll(up);
    Process keep =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    List<Long> pauses = new ArrayList<>();
    try {
      while (!Files.exists(log) || !Files.readString(log).contains("Ctrl-C gives")) {
        assertThat(keep.isAlive()).as(Files.readString(log)).isTrue();
        Thread.onSpinWait();
      }
      try (Qemu qemu = Qemu.plugged(folder, sockets.resolve("box/edu.sock"))) {
        new PciFunction(qemu.qtest, PciFunction.FIRST_SLOT).enable(PLACE);
        qemu.qtest.interceptIoApic();
        use(qemu.qtest, 1);
        for (int n = 0; n < DEATHS; n++) {
          pauses.add(die(keep, qemu.qtest, n, random.nextLong(10_000_000)));
        }
      }
    } finally {
      served(keep).destroy();
      keep.destroy();
      boolean ended = keep.waitFor(60, TimeUnit.SECONDS);
      String said = Files.readString(log);
      assertThat(ended).as(said).isTrue();
      assertThat(said).as("seed " + seed).doesNotContain("disconnected: lost");
    }
    assertThat(sockets).isEmptyDirectory();
    System.out.println(
        "seed %d: pauses in ms: %s, longest %d"
            .formatted(seed, pauses, pauses.stream().mapToLong(Long::longValue).max().orElse(0)));
  }

  /**
   * Uses the device, has its process killed meanwhile, and uses it on.
   *
   * @param after nanoseconds until it is killed
   * @return milliseconds from the kill to the next answer
   */
  private long die(Process keep, Qtest qtest, int round, long after) throws Exception {
    ProcessHandle victim = served(keep);
    AtomicLong killed = new AtomicLong();
    longest = 0;
    long begin = System.nanoTime();
    Thread killer =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (System.nanoTime() - begin < after) {
                    Thread.onSpinWait();
                  }
                  killed.set(System.nanoTime());
                  victim.destroyForcibly();
                });
    do {
      use(qtest, round + 2);
    } while (victim.isAlive() || System.nanoTime() - longestEnd < ROUND);
    killer.join();
    return Duration.ofNanos(longestEnd - killed.get()).toMillis();
  }
}
