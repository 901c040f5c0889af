// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;

/** What a guest finds in the configuration space, and how it places the BARs. */
@Timeout(60)
class AttachTest {
  private static final long PLACE = 0xc000_0000L;

  @TempDir Path folder = Path.of("");

  @Test
  void shouldShowIdentityAndClassAsBuilt() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Plug ioat = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, edu, ioat)) {
      PciFunction first = new PciFunction(qemu.qtest, 5);
      PciFunction second = new PciFunction(qemu.qtest, 6);
      assertThat(first.get(0)).isEqualTo(0x11e8_1234);
      assertThat(first.get(8)).isEqualTo(0x00ff_0010);
      assertThat(first.get(0x2c)).isEqualTo(0x1100_1af4);
      assertThat(second.get(0)).isEqualTo(0x2021_8086);
      assertThat(second.get(8)).isEqualTo(0x0880_0004);
      assertThat(second.get(0x2c)).isEqualTo(0x0000_8086);
      assertThat(new PciFunction(qemu.qtest, 7).get(0)).isEqualTo(-1);
    }
  }

  @Test
  void shouldLinkTheCapabilitiesAsBuilt() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Plug ioat = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, edu, ioat)) {
      PciFunction first = new PciFunction(qemu.qtest, 5);
      assertThat(first.get(PciFunction.STATUS, 2) & 0x10).isEqualTo(0x10);
      assertThat(first.capability(PciFunction.CAPABILITY_EXPRESS)).isNotZero();
      assertThat(first.capability(PciFunction.CAPABILITY_MSI)).isNotZero();
      assertThat(first.capability(PciFunction.CAPABILITY_MSIX)).isZero();
      PciFunction second = new PciFunction(qemu.qtest, 6);
      int msix = second.capability(PciFunction.CAPABILITY_MSIX);
      assertThat(second.get(msix + 2, 2)).as("one vector, off").isZero();
      assertThat(second.get(msix + 4)).as("the table: BAR 0").isEqualTo(0x2000);
      assertThat(second.get(msix + 8)).as("pending bits: BAR 0").isEqualTo(0x3000);
      int express = second.capability(PciFunction.CAPABILITY_EXPRESS);
      assertThat(second.get(express + 2, 2) >> 4 & 0xf).as("integrated endpoint").isEqualTo(9);
      assertThat(second.get(express + 4) >>> 28 & 1).as("function level reset").isEqualTo(1);
      assertThat(second.capability(PciFunction.CAPABILITY_MSI)).isZero();
    }
  }

  @Test
  void shouldOfferRegistersBeyondTheFirst256BytesOfConfigurationSpace() throws Exception {
    try (Plug ioat = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, ioat)) {
      long enhanced = new PciFunction(qemu.qtest, 5).enhanced();
      assertThat(qemu.qtest.readl(enhanced)).isEqualTo(0x2021_8086);
      qemu.qtest.writel(enhanced + 0x184, 0x1234_5678);
      assertThat(qemu.qtest.readl(enhanced + 0x184)).as("can be written").isEqualTo(0x1234_5678);
      qemu.qtest.writel(enhanced + 0x180, 0x1234_5678);
      assertThat(qemu.qtest.readl(enhanced + 0x180)).as("can only be cleared").isZero();
      assertThat(qemu.qtest.readl(enhanced + 0xffc)).isZero();
    }
  }

  @Test
  void shouldSizeBarsAndPlaceThem() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      PciFunction function = new PciFunction(qemu.qtest, 5);
      function.set(PciFunction.BAR0, -1L);
      assertThat(function.get(PciFunction.BAR0)).isEqualTo(-Edu.BAR_SIZE);
      for (int bar = 1; bar < 6; bar++) {
        function.set(PciFunction.BAR0 + 4 * bar, -1L);
        assertThat(function.get(PciFunction.BAR0 + 4 * bar)).as("BAR %d", bar).isZero();
      }
      for (long place : new long[] {PLACE, PLACE + 16 * Edu.BAR_SIZE}) {
        function.enable(place);
        assertThat(function.get(PciFunction.BAR0)).isEqualTo((int) place);
        assertThat(qemu.qtest.readl(place)).isEqualTo(0x0100_00ed);
      }
      assertThat(qemu.qtest.readl(PLACE)).as("where it was before").isNotEqualTo(0x0100_00ed);
    }
  }

  @Test
  void shouldAnswerOnlyWhileMemoryDecodeIsOn() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      PciFunction function = new PciFunction(qemu.qtest, 5);
      function.enable(PLACE);
      qemu.qtest.writel(PLACE + 4, 0x5555);
      function.set(PciFunction.COMMAND, 2, 0);
      assertThat(qemu.qtest.readl(PLACE + 4)).isNotEqualTo(~0x5555);
      qemu.qtest.writel(PLACE + 4, 0x6666);
      function.set(PciFunction.COMMAND, 2, PciFunction.MEMORY);
      assertThat(qemu.qtest.readl(PLACE + 4)).as("the write was lost").isEqualTo(~0x5555);
    }
  }

  @Test
  void shouldPassAccessesOfEverySizeAsTheyAreAndPlaceWideBarsAbove4GiB() throws Exception {
    long high = 0x20_0000_0000L;
    RegisterRecorder recorder = new RegisterRecorder();
    try (Plug plug = Plug.in(folder, recorder.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      PciFunction function = new PciFunction(qemu.qtest, 5);
      function.set(PciFunction.BAR0, -1L);
      function.set(PciFunction.BAR0 + 4, -1L);
      assertThat(function.get(PciFunction.BAR0)).isEqualTo(-RegisterRecorder.BAR_SIZE | 4);
      assertThat(function.get(PciFunction.BAR0 + 4)).isEqualTo(-1);
      function.set(PciFunction.BAR0 + 4, high >>> 32);
      function.enable(high & 0xffff_ffffL);
      recorder.accesses.clear();
      qemu.qtest.write(high + 0x11, 1, 0xab);
      qemu.qtest.write(high + 0x22, 2, 0xabcd);
      qemu.qtest.write(high + 0x44, 4, 0xabcd_ef01L);
      qemu.qtest.write(high + 0x88, 8, 0xabcd_ef01_2345_6789L);
      assertThat(qemu.qtest.read(high + 0x11, 1)).isEqualTo(0x11);
      assertThat(qemu.qtest.read(high + 0x22, 2)).isEqualTo(0x22);
      assertThat(qemu.qtest.read(high + 0x44, 4)).isEqualTo(0x44);
      assertThat(qemu.qtest.read(high + 0x88, 8)).isEqualTo(0x88);
      assertThat(recorder.accesses)
          .containsExactly(
              "write 0x11 1 0xab",
              "write 0x22 2 0xabcd",
              "write 0x44 4 0xabcdef01",
              "write 0x88 8 0xabcdef0123456789",
              "read 0x11 1",
              "read 0x22 2",
              "read 0x44 4",
              "read 0x88 8");
    }
  }
}
