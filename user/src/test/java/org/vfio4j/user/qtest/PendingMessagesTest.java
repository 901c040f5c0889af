// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Ioat;

/**
 * Messages that a device sends before their vector was ever unmasked. QEMU gives a vector its
 * eventfd when that happens, and takes away those of all others first.
 */
@Timeout(60)
class PendingMessagesTest {
  private static final long PLACE = 0xc000_0000L;
  private static final long MAILBOX = 0x30_0000;
  private static final int DATA = 0xcafe;
  private static final int ENABLE = 0x8000;
  private static final int FUNCTION_MASK = 0x4000;

  @TempDir Path folder = Path.of("");

  /** A machine with {@link Bells}, whose vectors write to mailboxes side by side. */
  private record Machine(Qemu qemu, Qtest qtest, PciFunction function) {
    void enable() {
      function.enable(PLACE);
      for (int vector = 0; vector < Bells.VECTORS; vector++) {
        long entry = PLACE + Bells.TABLE + 16L * vector;
        qtest.writel(entry, mailbox(vector));
        qtest.writel(entry + 4, 0);
        qtest.writel(entry + 8, DATA + vector);
      }
    }

    static long mailbox(int vector) {
      return MAILBOX + 8L * vector;
    }

    void control(int value) {
      function.set(function.capability(PciFunction.CAPABILITY_MSIX) + 2, 2, value);
    }

    void mask(int vector, int value) {
      qtest.writel(PLACE + Bells.TABLE + 16L * vector + 12, value);
    }

    void ring(int vector) {
      qtest.writel(PLACE, vector);
    }

    int pending() {
      return qtest.readl(PLACE + Bells.PENDING);
    }

    void awaitMessage(int vector) {
      long at = mailbox(vector);
      qtest.await("vector " + vector, () -> qtest.readl(at) == DATA + vector);
      qtest.writel(at, 0);
    }

    void checkNoMessage() {
      qtest.turn();
      for (int vector = 0; vector < Bells.VECTORS; vector++) {
        assertThat(qtest.readl(mailbox(vector))).as("vector %d", vector).isZero();
      }
    }
  }

  private interface Body {
    void run(Machine machine) throws IOException;
  }

  private void plugged(Body body) throws IOException {
    try (Plug plug = Plug.in(folder, Bells.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Machine machine =
          new Machine(qemu, qemu.qtest, new PciFunction(qemu.qtest, PciFunction.FIRST_SLOT));
      machine.enable();
      body.run(machine);
    }
  }

  @Test
  void shouldDeliverOnceWhenTheVectorIsUnmaskedForTheFirstTime() throws Exception {
    plugged(
        machine -> {
          machine.control(ENABLE);
          machine.ring(0);
          machine.ring(0);
          assertThat(machine.pending()).isEqualTo(0b1);
          machine.checkNoMessage();
          machine.mask(0, 0);
          machine.awaitMessage(0);
          assertThat(machine.pending()).isZero();
          machine.checkNoMessage();
          machine.ring(0);
          machine.awaitMessage(0);
        });
  }

  @Test
  void shouldKeepWhatIsPendingWhileVectorsAreAdded() throws Exception {
    plugged(
        machine -> {
          machine.control(ENABLE);
          for (int vector = 0; vector < Bells.VECTORS; vector++) {
            machine.ring(vector);
          }
          assertThat(machine.pending()).isEqualTo(0b111);
          for (int vector = 0; vector < Bells.VECTORS; vector++) {
            machine.mask(vector, 0);
            machine.awaitMessage(vector);
            machine.checkNoMessage();
            assertThat(machine.pending()).isEqualTo(0b111 & -(2 << vector));
          }
        });
  }

  @Test
  void shouldShowWhatAMaskOfTheFunctionHoldsBack() throws Exception {
    plugged(
        machine -> {
          machine.control(ENABLE | FUNCTION_MASK);
          machine.mask(1, 0);
          machine.ring(1);
          machine.ring(2);
          assertThat(machine.pending()).isEqualTo(0b110);
          machine.checkNoMessage();
          machine.control(ENABLE);
          machine.awaitMessage(1);
          machine.control(ENABLE | FUNCTION_MASK);
          machine.ring(1);
          assertThat(machine.pending()).isEqualTo(0b110);
          machine.checkNoMessage();
          machine.control(ENABLE);
          machine.awaitMessage(1);
          assertThat(machine.pending()).isEqualTo(0b100);
        });
  }

  @Test
  void shouldForgetWhatIsPendingWhenMsixIsDisabledOrTheMachineReset() throws Exception {
    plugged(
        machine -> {
          machine.control(ENABLE);
          machine.ring(0);
          machine.control(0);
          assertThat(machine.pending()).isZero();
          machine.ring(1);
          assertThat(machine.pending()).as("nothing is enabled").isZero();
          machine.control(ENABLE);
          machine.ring(1);
          machine.qemu().systemReset();
          machine.enable();
          assertThat(machine.pending()).isZero();
          machine.control(ENABLE);
          machine.mask(0, 0);
          machine.mask(1, 0);
          machine.checkNoMessage();
          machine.ring(1);
          machine.awaitMessage(1);
          machine.checkNoMessage();
        });
  }

  @Test
  void shouldDeliverWhatARealDeviceSentBeforeItsDriverAskedForTheVector() throws Exception {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, PciFunction.FIRST_SLOT);
      function.enable(PLACE);
      IoatDriver ioat = new IoatDriver(qtest, PLACE);
      ioat.enableInterrupts();
      qtest.writel(PLACE + IoatDriver.MSIX_TABLE, MAILBOX);
      qtest.writel(PLACE + IoatDriver.MSIX_TABLE + 8, DATA);
      function.set(function.capability(PciFunction.CAPABILITY_MSIX) + 2, 2, ENABLE);
      ioat.interrupt();
      ioat.awaitAttention();
      assertThat(qtest.readl(PLACE + IoatDriver.MSIX_PENDING)).isEqualTo(1);
      qtest.writel(PLACE + IoatDriver.MSIX_TABLE + 12, 0);
      qtest.await("the message", () -> qtest.readl(MAILBOX) == DATA);
      assertThat(qtest.readl(PLACE + IoatDriver.MSIX_PENDING)).isZero();
    }
  }
}
