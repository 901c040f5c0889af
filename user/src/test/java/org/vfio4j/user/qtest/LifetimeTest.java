// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;

/** Resets, several devices, and one side that goes. */
@Timeout(60)
class LifetimeTest {
  private static final long PLACE = 0xc000_0000L;
  private static final long OTHER_PLACE = 0xc100_0000L;
  private static final int LIVENESS = 4;
  private static final long FROM = 0x20_0000;
  private static final long TO = 0x30_0000;

  @TempDir Path folder = Path.of("");

  private static byte[] filled(int value) {
    byte[] bytes = new byte[4096];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  /** Parts of QEMU's memory that this process has mapped. */
  private static long held() throws IOException {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.filter(line -> line.contains("/memfd:")).count();
    }
  }

  private static void checkCopy(Qtest qtest, int slot, long place, int mark) {
    new PciFunction(qtest, slot).enable(place);
    qtest.writeBytes(FROM, filled(mark));
    assertThat(new IoatDriver(qtest, place).copy(FROM, TO, 4096)).isZero();
    assertThat(qtest.readBytes(TO, 4096)).isEqualTo(filled(mark));
  }

  @Test
  void shouldResetTheFunctionThroughItsCapabilityAndKeepItsMemory() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, 5);
      function.enable(PLACE);
      int mapped = edu.space().mappings();
      qtest.writel(PLACE + LIVENESS, 1);
      assertThat(qtest.readl(PLACE + LIVENESS)).isEqualTo(~1);
      int control = function.capability(PciFunction.CAPABILITY_EXPRESS) + 8;
      function.set(control, 2, function.get(control, 2) | 0x8000);
      function.enable(PLACE);
      assertThat(qtest.readl(PLACE + LIVENESS)).isZero();
      assertThat(function.get(control, 2) & 0x8000).as("reads as zero").isZero();
      assertThat(edu.space().mappings()).isEqualTo(mapped);
    }
  }

  @Test
  void shouldBeAsNewAfterAResetOfTheMachine() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, 5);
      for (int round = 0; round < 5; round++) {
        function.enable(PLACE);
        assertThat(qtest.readl(PLACE + LIVENESS)).isZero();
        qtest.writel(PLACE + LIVENESS, 1);
        assertThat(qtest.readl(PLACE + LIVENESS)).isEqualTo(~1);
        int before = edu.resets();
        qemu.systemReset();
        assertThat(edu.resets()).isGreaterThan(before);
        assertThat(function.get(PciFunction.BAR0)).isZero();
        assertThat(function.get(PciFunction.COMMAND, 2)).isZero();
      }
    }
  }

  @Test
  void shouldKeepTwoDevicesOfOneMachineApart() throws Exception {
    try (Plug first = Plug.in(folder, Ioat.create());
        Plug second = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, first, second)) {
      Qtest qtest = qemu.qtest;
      checkCopy(qtest, 5, PLACE, 1);
      checkCopy(qtest, 6, OTHER_PLACE, 2);
      new PciFunction(qtest, 5).set(PciFunction.COMMAND, 2, PciFunction.MEMORY);
      IoatDriver stopped = new IoatDriver(qtest, PLACE);
      assertThat(stopped.copy(FROM, TO, 4096)).as("no bus master").isNotZero();
      checkCopy(qtest, 6, OTHER_PLACE, 3);
      checkCopy(qtest, 5, PLACE, 4);
      assertThat(first.space().mappings()).isEqualTo(second.space().mappings());
    }
  }

  @Test
  void shouldServeTheNextMachineAfterOneWasKilledAndAfterOneQuit() throws Exception {
    long before = held();
    try (Plug plug = Plug.in(folder, Ioat.create())) {
      for (int round = 0; round < 4; round++) {
        try (Qemu qemu = Qemu.start(folder, plug)) {
          checkCopy(qemu.qtest, 5, PLACE, round + 1);
          assertThat(held()).isGreaterThan(before);
          if (round % 2 == 0) {
            qemu.kill();
          } else {
            assertThat(qemu.quit()).isZero();
          }
        }
        plug.awaitLeaving();
        assertThat(held()).as("round %d: mappings of its memory", round).isEqualTo(before);
      }
    }
  }

  @Test
  void shouldServeAMachineThatIsStartedBeforeTheOneBeforeHasEnded() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        ExecutorService starter = Executors.newSingleThreadExecutor();
        Qemu first = Qemu.start(folder, plug)) {
      checkCopy(first.qtest, 5, PLACE, 1);
      Future<Qemu> starting = starter.submit(() -> Qemu.start(folder, plug));
      plug.awaitWaiting();
      checkCopy(first.qtest, 5, PLACE, 2);
      first.kill();
      try (Qemu second = starting.get()) {
        checkCopy(second.qtest, 5, PLACE, 3);
      }
    }
  }

  @Test
  void shouldLeaveTheMachineRunningWhenTheServerEndsFirst() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Plug ioat = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, edu, ioat)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      assertThat(qtest.readl(PLACE)).isEqualTo(0x0100_00ed);
      edu.end();
      assertThat(qtest.readl(PLACE)).as("nobody answers").isEqualTo(-1);
      assertThat(qemu.log()).contains("vfio_region_read");
      checkCopy(qtest, 6, OTHER_PLACE, 5);
      assertThat(qemu.alive()).isTrue();
    }
  }
}
