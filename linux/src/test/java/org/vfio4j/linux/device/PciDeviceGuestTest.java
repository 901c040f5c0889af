// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.testing.Bound;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;

/** Devices of kernel-bench, in its guest, do what they are told. */
class PciDeviceGuestTest extends GuestTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  /** What an edu device copies at once: QEMU's check of its 4096 bytes is one too strict. */
  private static final int MOST = 4095;

  private static final int COMMAND = 4;
  private static final int MASTER = 4;

  /** Copies with the edu device, and waits for its interrupt. */
  private static void copy(
      Registers edu, Interrupts interrupts, long from, long to, long bytes, int command) {
    edu.write64(0x80, from);
    edu.write64(0x88, to);
    edu.write64(0x90, bytes);
    edu.write64(0x98, command | 4);
    assertThat(interrupts.await(0, LONG)).isPositive();
    edu.write32(0x64, edu.read32(0x24));
    interrupts.unmask();
  }

  private static void toDevice(Registers edu, Interrupts interrupts, long iova, long bytes) {
    copy(edu, interrupts, iova, 0x40000, bytes, 1);
  }

  private static void fromDevice(Registers edu, Interrupts interrupts, long iova, long bytes) {
    copy(edu, interrupts, 0x40000, iova, bytes, 3);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldReachRegistersMappedAndByCalls(boolean map) {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        PciDevice device = PciDevice.open("00:02.0")) {
      Registers bar = device.openBar(0, map);
      assertThat(bar.mapped()).isEqualTo(map);
      assertThat(bar.size()).isEqualTo(1 << 20);
      assertThat(bar.read32(0)).isEqualTo(0x010000ed);
      bar.write32(4, 0x12345678);
      assertThat(bar.read32(4)).isEqualTo(~0x12345678);
      assertThat(device.bar(0).mapped()).isTrue();
      assertThat(device.bar(0)).isSameAs(device.bar(0));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldMoveDataBothWaysAndTellByInterrupt(boolean map) {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        PciDevice device = PciDevice.open(EDU);
        DmaBuffer out = device.allocate(4096, REACH);
        DmaBuffer in = device.allocate(4096, REACH);
        Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
      device.enableBusMaster();
      for (int i = 0; i < 4096; i++) {
        out.segment().set(ValueLayout.JAVA_BYTE, i, (byte) (i * 7 + 1));
      }
      Registers edu = device.openBar(0, map);
      toDevice(edu, msi, out.iova(), MOST);
      fromDevice(edu, msi, in.iova(), MOST);
      assertThat(in.segment().mismatch(out.segment())).isEqualTo(MOST);
      assertThat(msi.await(0, Duration.ZERO)).isZero();
    }
  }

  @Test
  void shouldDoNoDmaBeforeItMay() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        PciDevice device = PciDevice.open(EDU)) {
      assertThat(device.config().read16(COMMAND) & MASTER).isZero();
      device.enableBusMaster();
      assertThat(device.config().read16(COMMAND) & MASTER).isEqualTo(MASTER);
      assertThat(device.config().mapped()).isFalse();
      assertThat(device.config().read32(0)).isEqualTo(0x11e81234);
    }
  }

  @Test
  void shouldInterruptByThePinAgainOnceUnmasked() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        PciDevice device = PciDevice.open(EDU);
        Interrupts pin = device.enable(InterruptKind.INTX, 1)) {
      Registers edu = device.bar(0);
      for (int round = 0; round < 3; round++) {
        edu.write32(0x60, 1 << round);
        assertThat(pin.await(0, LONG)).isEqualTo(1);
        assertThat(edu.read32(0x24)).isEqualTo(1 << round);
        edu.write32(0x64, 1 << round);
        pin.unmask();
      }
      assertThat(pin.await(0, Duration.ZERO)).isZero();
    }
  }

  @Test
  void shouldResetWhatCanBeReset() {
    String nvme = Bound.ofClass("0x010802");
    try (Bound _ = Bound.to("vfio-pci", nvme);
        PciDevice device = PciDevice.open(nvme)) {
      device.enableBusMaster();
      long capabilities = device.bar(0).read64(0);
      assertThat(device.resettable()).isTrue();
      device.reset();
      assertThat(device.bar(0).read64(0)).isEqualTo(capabilities);
      assertThat(device.config().read16(COMMAND) & MASTER).isEqualTo(MASTER);
      assertThatThrownBy(() -> device.bar(3)).hasMessage(nvme + " has no BAR 3 (ENODEV)");
    }
  }

  @Test
  void shouldReachAnIoPortByCalls() {
    try (Bound _ = Bound.to("vfio-pci", "0000:00:05.0");
        PciDevice device = PciDevice.open("0000:00:05.0")) {
      Registers ports = device.bar(2);
      assertThat(ports.mapped()).isFalse();
      ports.write32(0, 8);
      assertThat(ports.read32(0)).isEqualTo(8);
      assertThat(ports.read32(4)).isEqualTo(device.bar(0).read32(8));
    }
  }

  @Test
  void shouldShareASpaceBetweenTheDevicesOfAGroup() {
    try (Bound _ = Bound.to("vfio-pci", PAIR, OTHER);
        DmaSpace space = DmaSpace.create();
        PciDevice second = space.open(OTHER);
        DmaBuffer seconds = second.allocate(4096, REACH);
        Interrupts msi = second.enable(InterruptKind.MSI, 1)) {
      second.enableBusMaster();
      Registers edu = second.bar(0);
      try (PciDevice first = space.open(PAIR);
          DmaBuffer firsts = first.allocate(4096, REACH)) {
        firsts.segment().set(ValueLayout.JAVA_LONG, 0, 0x1122334455667788L);
        toDevice(edu, msi, firsts.iova(), 8);
        fromDevice(edu, msi, seconds.iova(16), 8);
        assertThat(seconds.segment().get(ValueLayout.JAVA_LONG, 16)).isEqualTo(0x1122334455667788L);
        assertThat(firsts.iova()).isNotEqualTo(seconds.iova());
        assertThatThrownBy(() -> PciDevice.open(PAIR))
            .isInstanceOf(VfioException.class)
            .hasMessageContaining("it is this process: open both devices in one DmaSpace")
            .hasMessageContaining("held by DMA space")
            .hasMessageContaining("(EBUSY)");
      }
      fromDevice(edu, msi, seconds.iova(), 8);
      assertThat(seconds.segment().get(ValueLayout.JAVA_LONG, 0)).isEqualTo(0x1122334455667788L);
    }
  }

  @Test
  void shouldTakeTheGroupBackWhenItsLastDeviceIsClosed() {
    try (Bound _ = Bound.to("vfio-pci", EDU, "0000:00:03.0");
        DmaSpace space = DmaSpace.create()) {
      for (int round = 0; round < 3; round++) {
        try (PciDevice device = space.open(EDU)) {
          assertThat(device.allocate(4096).iova()).isEqualTo(0x10000);
          try (PciDevice alone = space.open("0000:00:03.0")) {
            assertThat(alone.allocate(4096).iova()).isEqualTo(0x11000);
          }
          try (PciDevice elsewhere = PciDevice.open("0000:00:03.0")) {
            assertThat(elsewhere.allocate(4096).iova()).isEqualTo(0x10000);
          }
        }
        assertThat(space.windows()).isEmpty();
      }
    }
  }

  @Test
  void shouldNotReachMemoryThatWasClosed() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        MappedMemory memory = MappedMemory.anonymous(SystemCalls.libc(), 8192);
        PciDevice device = PciDevice.open(EDU);
        Interrupts msi = device.enable(InterruptKind.MSI, 1);
        DmaBuffer source = device.allocate(64, REACH)) {
      device.enableBusMaster();
      source.segment().fill((byte) 0x5a);
      toDevice(device.bar(0), msi, source.iova(), 64);
      DmaBuffer mapped = device.map(memory.segment(), REACH);
      fromDevice(device.bar(0), msi, mapped.iova(4096), 64);
      assertThat(memory.segment().get(ValueLayout.JAVA_BYTE, 4096)).isEqualTo((byte) 0x5a);
      mapped.close();
      mapped.close();
      fromDevice(device.bar(0), msi, mapped.iova(), 64);
      assertThat(memory.segment().get(ValueLayout.JAVA_BYTE, 0)).isZero();
    }
  }

  @Test
  void shouldLetDevicesOnlyReadWhatIsReadOnly() {
    try (Bound _ = Bound.to("vfio-pci", EDU);
        MappedMemory memory = MappedMemory.anonymous(SystemCalls.libc(), 4096);
        PciDevice device = PciDevice.open(EDU);
        Interrupts msi = device.enable(InterruptKind.MSI, 1);
        DmaBuffer copy = device.allocate(64, REACH)) {
      memory.segment().fill((byte) 0x33);
      device.enableBusMaster();
      DmaBuffer readable = device.map(memory.segment().asReadOnly(), REACH);
      toDevice(device.bar(0), msi, readable.iova(), 64);
      fromDevice(device.bar(0), msi, copy.iova(), 64);
      assertThat(copy.segment().get(ValueLayout.JAVA_BYTE, 63)).isEqualTo((byte) 0x33);
      copy.segment().fill((byte) 0x44);
      toDevice(device.bar(0), msi, copy.iova(), 64);
      fromDevice(device.bar(0), msi, readable.iova(), 64);
      assertThat(memory.segment().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 0x33);
    }
  }

  @Test
  void shouldEndTheSegmentWithTheBufferAndAllWithTheDevice() {
    try (Bound _ = Bound.to("vfio-pci", EDU)) {
      PciDevice device = PciDevice.open(EDU);
      DmaBuffer closed = device.allocate(100);
      assertThat(closed.size()).isEqualTo(100);
      closed.close();
      assertThatThrownBy(() -> closed.segment().get(ValueLayout.JAVA_BYTE, 0))
          .isInstanceOf(IllegalStateException.class);
      DmaBuffer left = device.allocate(4096);
      Registers bar = device.bar(0);
      device.enable(InterruptKind.MSI, 1);
      device.close();
      device.close();
      left.close();
      assertThatThrownBy(() -> left.segment().get(ValueLayout.JAVA_BYTE, 0))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> bar.read32(0)).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> device.config().read32(0)).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> device.allocate(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("0000:00:02.0 is closed");
    }
  }

  @Test
  void shouldRunTheExamples() {
    String nvme = Bound.ofClass("0x010802");
    try (Bound _ = Bound.to("vfio-pci", EDU, nvme)) {
      assertThat(output(() -> drivers.EduDriver.main(new String[] {EDU})))
          .isEqualTo(
              "0000:00:02.0: 10! = 3628800\n"
                  + "0000:00:02.0: IOVA 0x10000 to 0x11000: there and back\n");
      assertThat(output(() -> drivers.NvmeDriver.main(new String[] {nvme})))
          .isEqualTo(
              nvme
                  + ": QEMU NVMe Ctrl, serial abc\n"
                  + "namespace 1: 32768 blocks of 512 bytes\n"
                  + "block 0: vfio4j kernel-bench block 0\n");
    }
  }

  private static String output(Runnable program) {
    PrintStream real = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
    try {
      program.run();
    } finally {
      System.setOut(real);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
