// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;

/**
 * Interrupts by message. A message is a write; a test has them go to memory, where they can be
 * seen, in place of a processor's interrupt controller.
 */
@Timeout(60)
class MessageInterruptsTest {
  private static final long PLACE = 0xc000_0000L;
  private static final long MAILBOX = 0x30_0000;
  private static final int ENABLE = 0x8000;
  private static final int FUNCTION_MASK = 0x4000;
  private static final int MASKED = 1;

  @TempDir Path folder = Path.of("");

  /** An IOAT device that may interrupt, and its vector. */
  private record Vector(Qtest qtest, IoatDriver ioat, PciFunction function) {
    void address(long to, int data) {
      long entry = PLACE + IoatDriver.MSIX_TABLE;
      qtest.writel(entry, to);
      qtest.writel(entry + 4, 0);
      qtest.writel(entry + 8, data);
    }

    void mask(int value) {
      qtest.writel(PLACE + IoatDriver.MSIX_TABLE + 12, value);
    }

    void control(int value) {
      function.set(function.capability(PciFunction.CAPABILITY_MSIX) + 2, 2, value);
    }

    void awaitMessage(long at, int data) {
      qtest.await("0x%x at 0x%x".formatted(data, at), () -> qtest.readl(at) == data);
      qtest.writel(at, 0);
    }
  }

  private interface Body {
    void run(Qtest qtest, Vector vector);
  }

  private void plugged(Body body) throws IOException {
    try (Plug plug = Plug.in(folder, Ioat.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      PciFunction function = new PciFunction(qemu.qtest, 5);
      function.enable(PLACE);
      IoatDriver ioat = new IoatDriver(qemu.qtest, PLACE);
      ioat.enableInterrupts();
      body.run(qemu.qtest, new Vector(qemu.qtest, ioat, function));
    }
  }

  @Test
  void shouldDeliverToTheAddressOfTheTable() throws Exception {
    plugged(
        (qtest, vector) -> {
          vector.address(MAILBOX, 0xcafe);
          vector.mask(0);
          vector.control(ENABLE);
          for (int round = 0; round < 3; round++) {
            vector.ioat().interrupt();
            vector.awaitMessage(MAILBOX, 0xcafe);
          }
          vector.mask(MASKED);
          vector.address(MAILBOX + 8, 0xbeef);
          vector.mask(0);
          vector.ioat().interrupt();
          vector.awaitMessage(MAILBOX + 8, 0xbeef);
          assertThat(qtest.readl(MAILBOX)).as("the address before").isZero();
        });
  }

  @Test
  void shouldHoldAMessageBackWhileItsVectorIsMasked() throws Exception {
    plugged(
        (qtest, vector) -> {
          vector.address(MAILBOX, 0xcafe);
          vector.mask(0);
          vector.control(ENABLE);
          vector.mask(MASKED);
          vector.ioat().interrupt();
          vector.ioat().awaitAttention();
          qtest.turn();
          assertThat(qtest.readl(MAILBOX)).as("held back").isZero();
          vector.mask(0);
          vector.awaitMessage(MAILBOX, 0xcafe);
        });
  }

  @Test
  void shouldHoldAMessageBackWhileTheFunctionIsMasked() throws Exception {
    plugged(
        (qtest, vector) -> {
          vector.address(MAILBOX, 0xcafe);
          vector.mask(0);
          vector.control(ENABLE);
          vector.control(ENABLE | FUNCTION_MASK);
          vector.ioat().interrupt();
          vector.ioat().awaitAttention();
          qtest.turn();
          assertThat(qtest.readl(MAILBOX)).as("held back").isZero();
          vector.control(ENABLE);
          vector.awaitMessage(MAILBOX, 0xcafe);
        });
  }

  @Test
  void shouldUseThePinUntilMsixIsOnAndAgainAfterwards() throws Exception {
    plugged(
        (qtest, vector) -> {
          qtest.interceptIoApic();
          vector.address(MAILBOX, 0xcafe);
          vector.mask(0);
          for (int round = 0; round < 2; round++) {
            vector.ioat().interrupt();
            qtest.await("the pin", () -> !qtest.raised().isEmpty());
            // QEMU lowers it at every access, and raises it again while the device asserts it.
            qtest.await(
                "the pin's end",
                () -> vector.ioat().acknowledge() == 0 && qtest.raised().isEmpty());
            vector.control(ENABLE);
            vector.ioat().interrupt();
            vector.awaitMessage(MAILBOX, 0xcafe);
            vector.ioat().acknowledge();
            vector.control(0);
            assertThat(qtest.raised()).isEmpty();
          }
        });
  }

  @Test
  void shouldDeliverByMsiToo() throws Exception {
    try (Plug plug = Plug.in(folder, Edu.create());
        Qemu qemu = Qemu.start(folder, plug)) {
      Qtest qtest = qemu.qtest;
      PciFunction function = new PciFunction(qtest, 5);
      function.enable(PLACE);
      int msi = function.capability(PciFunction.CAPABILITY_MSI);
      function.set(msi + 4, MAILBOX);
      function.set(msi + 8, 0);
      function.set(msi + 12, 2, 0x1234);
      function.set(msi + 2, 2, 1);
      for (int round = 0; round < 3; round++) {
        qtest.writel(PLACE + 0x60, 1);
        qtest.await("a message", () -> qtest.readl(MAILBOX) == 0x1234);
        qtest.writel(MAILBOX, 0);
        qtest.writel(PLACE + 0x64, 1);
      }
    }
  }
}
