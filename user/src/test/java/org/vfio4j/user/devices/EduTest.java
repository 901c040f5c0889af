// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.devices;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.EventFd;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Plugged;

/** QEMU's edu, by the registers of its specification. */
class EduTest {
  private final Plugged p = new Plugged(Edu.create());

  @AfterEach
  void close() {
    p.close();
  }

  @Test
  void shouldIdentifyItselfAndLive() {
    assertThat(p.read(Pci.CONFIG, 0, 4)).isEqualTo(0x11e81234L);
    assertThat(p.read(0, 0, 4)).isEqualTo(0x010000edL);
    p.write(0, 4, 4, 0x12345678);
    assertThat(p.read(0, 4, 4)).isEqualTo(0xedcba987L);
    assertThat(p.read(0, 4, 1)).as("only four bytes below 0x80").isEqualTo(0xff);
    p.write(0, 4, 1, 0);
    assertThat(p.read(0, 4, 4)).isEqualTo(0xedcba987L);
  }

  @Test
  void shouldComputeFactorials() {
    try (EventFd vector = p.connect(Pci.MSI, 0)) {
      p.write(0, 8, 4, 10);
      Plugged.await("the result", () -> (p.read(0, 0x20, 4) & 1) == 0);
      assertThat(p.read(0, 8, 4)).isEqualTo(3628800);
      assertThat(vector.take()).isZero();
      p.write(0, 0x20, 4, 0x80);
      p.write(0, 8, 4, 0xffff_ffffL);
      Plugged.await(vector);
      assertThat(p.read(0, 8, 4)).isZero();
      assertThat(p.read(0, 0x24, 4)).isEqualTo(1);
      p.write(0, 0x64, 4, 1);
      assertThat(p.read(0, 0x24, 4)).isZero();
    }
  }

  @Test
  void shouldHoldThePinUntilEveryInterruptIsAcknowledged() {
    try (EventFd pin = p.connect(Pci.INTX, 0)) {
      p.write(0, 0x60, 4, 6);
      assertThat(pin.take()).isEqualTo(1);
      assertThat(p.read(0, 0x24, 4)).isEqualTo(6);
      assertThat(p.read(Pci.CONFIG, 6, 2) & 8).as("status of the pin").isEqualTo(8);
      p.interrupts.unmask(Pci.INTX, 0, 1);
      assertThat(pin.take()).as("still asserted").isEqualTo(1);
      p.write(0, 0x64, 4, 2);
      p.interrupts.unmask(Pci.INTX, 0, 1);
      assertThat(pin.take()).as("still asserted").isEqualTo(1);
      p.write(0, 0x64, 4, 4);
      p.interrupts.unmask(Pci.INTX, 0, 1);
      assertThat(pin.take()).isZero();
      p.write(Pci.CONFIG, 4, 2, 0x406);
      p.write(0, 0x60, 4, 1);
      assertThat(pin.take()).as("the pin is disabled").isZero();
      p.write(Pci.CONFIG, 4, 2, 6);
      assertThat(pin.take()).isEqualTo(1);
    }
  }

  private void dma(long from, long to, long count, int command) {
    p.write(0, 0x80, 8, from);
    p.write(0, 0x88, 8, to);
    p.write(0, 0x90, 8, count);
    p.write(0, 0x98, 8, command);
    Plugged.await("DMA", () -> (p.read(0, 0x98, 8) & 1) == 0);
  }

  @Test
  void shouldCopyThroughItsBuffer() {
    p.memory.segment().asSlice(0x5000, 4096).fill((byte) 0x5a);
    dma(0x5000, Edu.BUFFER, 4096, 1);
    try (EventFd vector = p.connect(Pci.MSI, 0)) {
      dma(Edu.BUFFER, 0x1000_7000L, 100, 7);
      Plugged.await(vector);
    }
    assertThat(p.read(0, 0x24, 4)).isEqualTo(0x100);
    assertThat(p.memory.segment().get(ValueLayout.JAVA_BYTE, 0x7063)).isEqualTo((byte) 0x5a);
    assertThat(p.memory.segment().get(ValueLayout.JAVA_BYTE, 0x7064)).isZero();
    dma(Edu.BUFFER + 1, 0x7000, 4096, 3);
    dma(Edu.BUFFER - 1, 0x7000, 10, 3);
    dma(Edu.BUFFER, 0x7000, -1, 3);
    assertThat(p.memory.segment().get(ValueLayout.JAVA_BYTE, 0x7064)).as("beyond it").isZero();
    dma(Edu.BUFFER, 0x800_0000, 8, 3);
    assertThat(p.dma.faults()).hasSize(1);
  }

  @Test
  void shouldForgetWhatWasBegunBeforeAReset() {
    p.write(0, 0x20, 4, 0x80);
    p.write(0, 0x60, 4, 1);
    p.device.reset();
    assertThat(p.read(0, 0x24, 4)).isZero();
    assertThat(p.read(0, 0x20, 4)).isZero();
    p.device.detached();
    p.device.attached(p.dma, p.interrupts);
    p.write(0, 8, 4, 3);
    Plugged.await("the result", () -> p.read(0, 8, 4) == 6);
  }
}
