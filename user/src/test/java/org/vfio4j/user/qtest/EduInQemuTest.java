// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.user.device.UserMemory;
import org.vfio4j.user.devices.Edu;

/** A guest that uses the edu device. */
@Timeout(60)
class EduInQemuTest {
  private static final long PLACE = 0xc000_0000L;
  private static final int STATUS_COMPUTING = 1;
  private static final int RUN = 1;
  private static final int TO_MEMORY = 2;

  @TempDir Path folder = Path.of("");

  /** DMA by the device's registers; waits for its end. */
  private static void transfer(Qtest qtest, long source, long target, int count, int command) {
    qtest.writeq(PLACE + 0x80, source);
    qtest.writeq(PLACE + 0x88, target);
    qtest.writeq(PLACE + 0x90, count);
    qtest.writel(PLACE + 0x98, command | RUN);
    qtest.await("the end of the DMA", () -> (qtest.readl(PLACE + 0x98) & RUN) == 0);
  }

  private static byte[] random(long seed, int count) {
    byte[] bytes = new byte[count];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  @Test
  void shouldIdentifyItselfInvertAndMultiply() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      assertThat(qtest.readl(PLACE)).isEqualTo(0x0100_00ed);
      qtest.writel(PLACE + 4, 0x1234_5678);
      assertThat(qtest.readl(PLACE + 4)).isEqualTo(~0x1234_5678);
      qtest.writel(PLACE + 8, 10);
      qtest.await("10!", () -> (qtest.readl(PLACE + 0x20) & STATUS_COMPUTING) == 0);
      assertThat(qtest.readl(PLACE + 8)).isEqualTo(3_628_800);
    }
  }

  @Test
  void shouldCopyFromMemoryAndBackByteForByte() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      // Both ends cross a page; the second is the last byte of memory.
      long from = 0x10_0ff3;
      long to = Qemu.MEMORY_END - 4001;
      byte[] data = random(1, 4001);
      qtest.writeBytes(from, data);
      byte[] before = qtest.readBytes(to - 64, 64);
      transfer(qtest, from, Edu.BUFFER + 95, data.length, 0);
      transfer(qtest, Edu.BUFFER + 95, to, data.length, TO_MEMORY);
      assertThat(qtest.readBytes(to, data.length)).isEqualTo(data);
      assertThat(qtest.readBytes(to - 64, 64)).isEqualTo(before);
      byte[] seen = new byte[data.length];
      edu.space().read(to, MemorySegment.ofArray(seen), 0, seen.length);
      assertThat(seen).as("what this process sees").isEqualTo(data);
      edu.space().write(from, MemorySegment.ofArray(random(2, 100)), 0, 100);
      assertThat(qtest.readBytes(from, 100)).as("what QEMU sees").isEqualTo(random(2, 100));
      assertThat(edu.space().faults()).isEmpty();
    }
  }

  @Test
  void shouldReadMemoryThatQemuGaveNoDescriptorFor() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      long firmware = 0xf_f000;
      transfer(qtest, firmware, Edu.BUFFER, 4096, 0);
      transfer(qtest, Edu.BUFFER, 0x20_0000, 4096, TO_MEMORY);
      byte[] rom = qtest.readBytes(firmware, 4096);
      assertThat(rom).as("firmware is not all alike").isNotEqualTo(new byte[4096]);
      assertThat(qtest.readBytes(0x20_0000, 4096)).isEqualTo(rom);
      transfer(qtest, Edu.BUFFER + 1, firmware, 100, TO_MEMORY);
      assertThat(edu.space().faults()).hasSize(1);
      assertThat(edu.space().faults().getFirst().cause()).isEqualTo(DmaFault.Cause.NO_PERMISSION);
      assertThat(qtest.readBytes(firmware, 4096)).as("read only").isEqualTo(rom);
    }
  }

  @Test
  void shouldFaultBeyondMemoryAndChangeNothing() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      new PciFunction(qtest, 5).enable(PLACE);
      byte[] data = random(3, 4096);
      qtest.writeBytes(0x10_0000, data);
      transfer(qtest, 0x10_0000, Edu.BUFFER, 4096, 0);
      transfer(qtest, Qemu.MEMORY_END, Edu.BUFFER, 4096, 0);
      transfer(qtest, Edu.BUFFER, Qemu.MEMORY_END + 0x1000, 4096, TO_MEMORY);
      assertThat(edu.space().faults())
          .extracting(DmaFault::iova, DmaFault::access, DmaFault::cause)
          .containsExactly(
              tuple(Qemu.MEMORY_END, UserMemory.READ, DmaFault.Cause.NOT_MAPPED),
              tuple(Qemu.MEMORY_END + 0x1000, UserMemory.WRITE, DmaFault.Cause.NOT_MAPPED));
      transfer(qtest, Edu.BUFFER, 0x20_0000, 4096, TO_MEMORY);
      assertThat(qtest.readBytes(0x20_0000, 4096)).as("the buffer").isEqualTo(data);
    }
  }

  @Test
  void shouldDoNoDmaWithoutBusMaster() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, 5);
      function.enable(PLACE);
      byte[] data = random(4, 64);
      qtest.writeBytes(0x10_0000, data);
      transfer(qtest, 0x10_0000, Edu.BUFFER, 64, 0);
      function.set(PciFunction.COMMAND, 2, PciFunction.MEMORY);
      transfer(qtest, Edu.BUFFER, 0x20_0000, 64, TO_MEMORY);
      assertThat(qtest.readBytes(0x20_0000, 64)).isEqualTo(new byte[64]);
      function.set(PciFunction.COMMAND, 2, PciFunction.MEMORY | PciFunction.BUS_MASTER);
      transfer(qtest, Edu.BUFFER, 0x20_0000, 64, TO_MEMORY);
      assertThat(qtest.readBytes(0x20_0000, 64)).isEqualTo(data);
    }
  }

  @Test
  void shouldRaiseAndLowerItsPin() throws Exception {
    try (Plug edu = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, edu)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, 5);
      function.enable(PLACE);
      qtest.interceptIoApic();
      for (int round = 0; round < 3; round++) {
        qtest.writel(PLACE + 0x60, 0x11);
        qtest.await("the pin", () -> !qtest.raised().isEmpty());
        assertThat(qtest.raised()).hasSize(1).allMatch(line -> line >= 20 && line < 24);
        assertThat(function.get(PciFunction.STATUS, 2) & 8).isEqualTo(8);
        qtest.writel(PLACE + 0x64, 0x11);
        assertThat(qtest.readl(PLACE + 0x24)).isZero();
        assertThat(qtest.raised()).isEmpty();
        assertThat(function.get(PciFunction.STATUS, 2) & 8).isZero();
      }
    }
  }
}
