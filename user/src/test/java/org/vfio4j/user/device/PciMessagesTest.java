// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.EventFd;

/** What becomes of a message that cannot be delivered when the device sends it. */
class PciMessagesTest {
  private static final int PENDING = 0x2000;

  /** The only capabilities, in this order. */
  private static final int MSI_CONTROL = 0x40 + 2;

  private static final int MSIX_CONTROL = 0x50 + 2;
  private static final int MSI_ENABLE = 1;
  private static final int MSIX_ENABLE = 0x8000;
  private static final int FUNCTION_MASK = 0x4000;

  private final Plugged p =
      new Plugged(
          EmulatedDevice.builder(0x1234, 0x5678)
              .bar(0, 0x4000)
              .intx(1)
              .msi(4)
              .msix(3, 0, 0x1000, PENDING)
              .build(new Nothing()));

  private final DeviceBus bus = new DeviceBus(p.device, p.dma, p.interrupts);

  private static final class Nothing implements PciModel {
    @Override
    public long read(int bar, long offset, int size) {
      return 0;
    }

    @Override
    public void write(int bar, long offset, int size, long value) {}

    @Override
    public void attached(DeviceBus to) {}

    @Override
    public void reset() {}

    @Override
    public void detached() {}
  }

  @AfterEach
  void close() {
    p.close();
  }

  private void msix(int control) {
    p.write(Pci.CONFIG, MSIX_CONTROL, 2, control);
  }

  private long pending() {
    return p.read(0, PENDING, 8);
  }

  /** As QEMU begins: a vector, but no eventfd. */
  private void connectNothing() {
    p.interrupts.connect(Pci.MSIX, 0, List.of(Optional.empty()));
  }

  @Test
  void shouldDeliverOnceWhatWasSentBeforeAnyVectorWasConnected() {
    msix(MSIX_ENABLE);
    bus.signal(0);
    connectNothing();
    bus.signal(0);
    bus.signal(2);
    assertThat(pending()).isEqualTo(0b101);
    p.interrupts.disconnect(Pci.MSIX);
    assertThat(pending()).as("disconnected to be connected again").isEqualTo(0b101);
    try (EventFd zero = p.connect(Pci.MSIX, 0)) {
      assertThat(zero.take()).isEqualTo(1);
      assertThat(pending()).isEqualTo(0b100);
    }
  }

  @Test
  void shouldForgetWhatIsPendingWhenMsixIsDisabled() {
    msix(MSIX_ENABLE);
    bus.signal(0);
    bus.signal(1);
    msix(0);
    assertThat(pending()).isZero();
    bus.signal(2);
    msix(MSIX_ENABLE);
    assertThat(pending()).as("not sent while disabled").isZero();
    try (EventFd zero = p.connect(Pci.MSIX, 0)) {
      assertThat(zero.take()).isZero();
      bus.signal(1);
      msix(0);
      assertThat(pending()).as("although another is connected").isZero();
      bus.signal(0);
      assertThat(zero.take()).as("who connects eventfds need not enable").isEqualTo(1);
    }
  }

  @Test
  void shouldForgetWhatIsPendingAtAReset() {
    try (EventFd zero = p.connect(Pci.MSIX, 0)) {
      for (int control : new int[] {0, MSIX_ENABLE, MSIX_ENABLE | FUNCTION_MASK}) {
        msix(control);
        bus.signal(1);
        assertThat(pending()).isEqualTo(0b10);
        p.device.reset();
        assertThat(pending()).isZero();
        bus.signal(0);
        assertThat(zero.take()).as("eventfds stay").isEqualTo(1);
      }
    }
  }

  @Test
  void shouldDropWhatIsSentWhileNothingIsSetUp() {
    bus.signal(0);
    connectNothing();
    bus.signal(0);
    assertThat(pending()).isZero();
    try (EventFd zero = p.connect(Pci.MSIX, 0)) {
      assertThat(zero.take()).isZero();
      bus.signal(1);
      assertThat(pending()).isEqualTo(0b10);
    }
    p.interrupts.disconnect(Pci.MSIX);
    assertThat(pending()).isZero();
  }

  @Test
  void shouldHoldBackWhileTheFunctionIsMasked() {
    try (EventFd zero = p.connect(Pci.MSIX, 0)) {
      msix(MSIX_ENABLE | FUNCTION_MASK);
      bus.signal(0);
      bus.signal(0);
      assertThat(zero.take()).isZero();
      assertThat(pending()).isEqualTo(0b1);
      msix(MSIX_ENABLE);
      assertThat(zero.take()).isEqualTo(1);
      assertThat(pending()).isZero();
      msix(FUNCTION_MASK);
      bus.signal(0);
      assertThat(zero.take()).as("a mask of what is disabled").isEqualTo(1);
    }
  }

  @Test
  void shouldKeepAMessageOfMsiUntilItCanBeDelivered() {
    p.write(Pci.CONFIG, MSI_CONTROL, 2, MSI_ENABLE);
    bus.signal(0);
    try (EventFd zero = p.connect(Pci.MSI, 0)) {
      assertThat(zero.take()).isEqualTo(1);
    }
  }

  @Test
  void shouldShareTheLastVectorOfMsiThatTheUserGrants() {
    try (EventFd first = p.connect(Pci.MSI, 0);
        EventFd second = p.connect(Pci.MSI, 1);
        EventFd last = p.connect(Pci.MSI, 3)) {
      bus.signal(3);
      bus.signal(7);
      assertThat(last.take()).as("all, while it is not enabled").isEqualTo(2);
      p.write(Pci.CONFIG, MSI_CONTROL, 2, 1 << 4 | MSI_ENABLE);
      bus.signal(3);
      assertThat(second.take()).isEqualTo(1);
      p.write(Pci.CONFIG, MSI_CONTROL, 2, MSI_ENABLE);
      bus.signal(1);
      assertThat(first.take()).isEqualTo(1);
      p.write(Pci.CONFIG, MSI_CONTROL, 2, 7 << 4 | MSI_ENABLE);
      bus.signal(3);
      assertThat(last.take()).as("more than there are").isEqualTo(1);
    }
  }

  @Test
  void shouldLeaveThePinAloneWhileMessagesAreEnabled() {
    try (EventFd pin = p.connect(Pci.INTX, 0)) {
      msix(MSIX_ENABLE);
      bus.intx(true);
      assertThat(pin.take()).isZero();
      msix(0);
      bus.intx(true);
      assertThat(pin.take()).isEqualTo(1);
    }
  }

  @Test
  void shouldDeliverOnceWhatIsSentWhileVectorsAreConnectedAnew() throws Exception {
    msix(MSIX_ENABLE);
    EventFd before = p.connect(Pci.MSIX, 0);
    try (ExecutorService device = Executors.newSingleThreadExecutor()) {
      for (int round = 0; round < 2000; round++) {
        Future<?> sent = device.submit(() -> bus.signal(0));
        p.interrupts.disconnect(Pci.MSIX);
        EventFd after = p.connect(Pci.MSIX, 0);
        sent.get();
        assertThat(before.take() + after.take()).as("round %d", round).isEqualTo(1);
        before.close();
        before = after;
      }
    } finally {
      before.close();
    }
  }
}
