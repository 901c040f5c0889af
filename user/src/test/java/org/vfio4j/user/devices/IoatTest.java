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

/** The DMA engine, driven register by register as Linux's drivers do. */
class IoatTest {
  private static final int CHANCTRL = 0x80;
  private static final int CHANCMD = 0x84;
  private static final int DMACOUNT = 0x86;
  private static final int CHANSTS = 0x88;
  private static final int CHAINADDR = 0x90;
  private static final int CHANCMP = 0x98;
  private static final int CHANERR = 0xa8;

  private static final int ACTIVE = 0;
  private static final int DONE = 1;
  private static final int SUSPENDED = 2;
  private static final int HALTED = 3;

  private static final int RESET = 0x20;
  private static final int SUSPEND = 4;
  private static final int RESUME = 0x10;

  private static final int INTERRUPT = 1;
  private static final int COMPLETION = 8;
  private static final int NULL = 0x20;

  private static final long DESCRIPTORS = 0x1000;
  private static final long COMPLETED = 0x800;
  private static final long SOURCE = 0x10000;
  private static final long TARGET = 0x20000;
  private static final long NOWHERE = 0x4000_0000;

  private final Plugged p = new Plugged(Ioat.create());

  @AfterEach
  void close() {
    p.close();
  }

  private long descriptor(int n) {
    return DESCRIPTORS + 64L * n;
  }

  private void describe(int n, long size, int control, long from, long to, long next) {
    long at = descriptor(n);
    p.memory.segment().asSlice(at, 64).fill((byte) 0);
    p.memory.segment().set(ValueLayout.JAVA_INT, at, (int) size);
    p.memory.segment().set(ValueLayout.JAVA_INT, at + 4, control);
    p.memory.segment().set(ValueLayout.JAVA_LONG, at + 8, from);
    p.memory.segment().set(ValueLayout.JAVA_LONG, at + 16, to);
    p.memory.segment().set(ValueLayout.JAVA_LONG, at + 24, next);
  }

  private void run(long chain, int count) {
    p.write(0, CHAINADDR, 4, chain & 0xffff_ffffL);
    p.write(0, CHAINADDR + 4, 4, chain >>> 32);
    p.write(0, DMACOUNT, 2, count);
  }

  private int status() {
    return (int) p.read(0, CHANSTS, 8) & 7;
  }

  private void awaitStatus(int wanted) {
    Plugged.await("status " + wanted, () -> status() == wanted);
  }

  private void reset() {
    p.write(0, CHANCMD, 1, RESET);
    Plugged.await("end of reset", () -> p.read(0, CHANCMD, 1) == 0);
  }

  @Test
  void shouldLookAsLinuxExpects() {
    assertThat(p.read(Pci.CONFIG, 0, 4)).isEqualTo(0x20218086L);
    assertThat(p.read(Pci.CONFIG, 0x0a, 2)).isEqualTo(0x0880);
    assertThat(p.read(0, 0, 1)).as("channels").isEqualTo(1);
    assertThat(p.read(0, 1, 1)).as("log2 of a transfer").isEqualTo(12);
    assertThat(p.read(0, 8, 1)).as("version").isEqualTo(0x33);
    assertThat(p.read(0, 0x10, 4)).as("capabilities").isZero();
    assertThat(p.read(Pci.CONFIG, 0x180, 4)).isZero();
    reset();
    assertThat(status()).isEqualTo(HALTED);
  }

  @Test
  void shouldCopyAndSayWhereItIs() {
    for (int n = 0; n < 4096; n++) {
      p.memory.segment().set(ValueLayout.JAVA_BYTE, SOURCE + n, (byte) (n * 7 + 1));
    }
    p.write(0, CHANCMP, 4, COMPLETED);
    p.write(0, CHANCMP + 4, 4, 0);
    describe(0, 8, NULL | COMPLETION, 0, 0, descriptor(1));
    describe(1, 4096, COMPLETION, SOURCE, TARGET, descriptor(2));
    describe(2, 100, COMPLETION, SOURCE, TARGET + 8192, descriptor(0));
    run(descriptor(0), 2);
    awaitStatus(DONE);
    assertThat(p.read(0, CHANSTS, 8)).isEqualTo(descriptor(1) | DONE);
    assertThat(completion()).isEqualTo(descriptor(1) | DONE);
    assertThat(
            p.memory
                .segment()
                .asSlice(SOURCE, 4096)
                .mismatch(p.memory.segment().asSlice(TARGET, 4096)))
        .isEqualTo(-1);
    assertThat(p.memory.segment().get(ValueLayout.JAVA_BYTE, TARGET + 8192)).isZero();
    p.write(0, DMACOUNT, 2, 3);
    Plugged.await("the third", () -> completion() == (descriptor(2) | DONE));
    assertThat(p.memory.segment().get(ValueLayout.JAVA_BYTE, TARGET + 8192)).isEqualTo((byte) 1);
  }

  private long completion() {
    return p.memory.segment().get(ValueLayout.JAVA_LONG, COMPLETED);
  }

  @Test
  void shouldCountModulo65536AndStartAgainAtANewChain() {
    describe(0, 8, COMPLETION, SOURCE, TARGET, descriptor(0));
    p.memory.segment().set(ValueLayout.JAVA_LONG, SOURCE, 0x55L);
    for (int round = 0; round < 3; round++) {
      run(descriptor(0), 0xffff);
      awaitStatus(DONE);
      p.write(0, CHANCMD, 1, SUSPEND);
      awaitStatus(SUSPENDED);
    }
    run(descriptor(0), 0xfffe);
    awaitStatus(DONE);
    p.memory.segment().set(ValueLayout.JAVA_LONG, TARGET, 0);
    p.write(0, DMACOUNT, 2, 1);
    Plugged.await(
        "three more", () -> p.memory.segment().get(ValueLayout.JAVA_LONG, TARGET) == 0x55L);
    awaitStatus(DONE);
  }

  @Test
  void shouldInterruptByMsixOrThePin() {
    describe(0, 8, INTERRUPT, SOURCE, TARGET, descriptor(0));
    try (EventFd vector = p.connect(Pci.MSIX, 0)) {
      run(descriptor(0), 1);
      awaitStatus(DONE);
      assertThat(vector.take()).as("INTRCTRL does not allow it").isZero();
      p.write(0, 3, 1, 8);
      run(descriptor(0), 1);
      Plugged.await(vector);
    }
    p.interrupts.disconnect(Pci.MSIX);
    try (EventFd pin = p.connect(Pci.INTX, 0)) {
      p.write(0, 3, 1, 1);
      assertThat(p.read(0, 4, 4)).as("acknowledges what was").isEqualTo(1);
      assertThat(p.read(0, 4, 4)).isZero();
      pin.take();
      p.interrupts.unmask(Pci.INTX, 0, 1);
      run(descriptor(0), 1);
      Plugged.await(pin);
      assertThat(p.read(0, 3, 1)).isEqualTo(1 | 2 | 4);
      p.interrupts.unmask(Pci.INTX, 0, 1);
      assertThat(pin.take()).as("still asserted").isEqualTo(1);
      p.read(0, 4, 4);
      p.interrupts.unmask(Pci.INTX, 0, 1);
      assertThat(pin.take()).isZero();
    }
  }

  @Test
  void shouldHaltAtAnErrorUntilItIsCleared() {
    long[][] cases = {
      // size, control, from, to, error
      {8, 0, NOWHERE, TARGET, 0x100},
      {8, 0, SOURCE, NOWHERE, 0x200},
      {8, 1 << 24, SOURCE, TARGET, 0x400},
      {0, 0, SOURCE, TARGET, 0x800},
      {4097, 0, SOURCE, TARGET, 0x800},
      {8, 0, Plugged.MEMORY - 4, TARGET, 0x100}
    };
    try (EventFd vector = p.connect(Pci.MSIX, 0)) {
      p.write(0, 3, 1, 9);
      p.write(0, CHANCMP, 8, COMPLETED);
      p.write(0, CHANCTRL, 2, 0x1d);
      for (long[] c : cases) {
        describe(0, c[0], (int) c[1], c[2], c[3], descriptor(0));
        p.memory.segment().set(ValueLayout.JAVA_LONG, COMPLETED, -1);
        run(descriptor(0), 1);
        awaitStatus(HALTED);
        Plugged.await(vector);
        assertThat(p.read(0, CHANERR, 4)).isEqualTo(c[4]);
        assertThat(completion() & 7).isEqualTo(HALTED);
        p.write(0, DMACOUNT, 2, 2);
        assertThat(status()).as("halted for good").isEqualTo(HALTED);
        p.write(0, CHANERR, 4, p.read(0, CHANERR, 4));
        assertThat(p.read(0, CHANERR, 4)).isZero();
        reset();
      }
      run(NOWHERE, 1);
      awaitStatus(HALTED);
      assertThat(p.read(0, CHANERR, 4)).isEqualTo(4);
    }
    assertThat(p.dma.faults()).isNotEmpty();
  }

  @Test
  void shouldSuspendResumeAndResetBetweenDescriptors() {
    describe(0, 4096, 0, SOURCE, TARGET, descriptor(0));
    for (int round = 0; round < 200; round++) {
      run(descriptor(0), 0xffff);
      p.write(0, CHANCMD, 1, SUSPEND);
      Plugged.await("suspend", () -> status() == SUSPENDED || status() == DONE);
      if (status() == SUSPENDED) {
        p.memory.segment().set(ValueLayout.JAVA_LONG, TARGET, -1);
        assertThat(p.memory.segment().get(ValueLayout.JAVA_LONG, TARGET)).isEqualTo(-1);
        p.write(0, CHANCMD, 1, RESUME);
        assertThat(status()).isIn(ACTIVE, DONE);
      }
      reset();
      assertThat(status()).isEqualTo(HALTED);
      p.memory.segment().set(ValueLayout.JAVA_LONG, TARGET, -1);
      Thread.yield();
      assertThat(p.memory.segment().get(ValueLayout.JAVA_LONG, TARGET))
          .as("written after a reset")
          .isEqualTo(-1);
    }
  }

  @Test
  void shouldStopForAResetOfTheFunctionAndForAUserWhoLeaves() {
    describe(0, 4096, INTERRUPT, SOURCE, TARGET, descriptor(0));
    run(descriptor(0), 0xffff);
    p.device.reset();
    assertThat(status()).isEqualTo(HALTED);
    assertThat(p.read(Pci.CONFIG, 4, 2)).as("no bus master any more").isZero();
    run(descriptor(0), 1);
    awaitStatus(HALTED);
    assertThat(p.read(0, CHANERR, 4)).as("DMA without bus master").isEqualTo(4);
    p.device.reset();
    p.write(Pci.CONFIG, 4, 2, 4);
    run(descriptor(0), 0xffff);
    p.device.detached();
    p.device.attached(p.dma, p.interrupts);
    p.write(Pci.CONFIG, 4, 2, 4);
    run(descriptor(0), 1);
    awaitStatus(DONE);
  }
}
