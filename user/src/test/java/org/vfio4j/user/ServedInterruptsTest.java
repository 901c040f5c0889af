// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.Memfd;
import org.vfio4j.user.device.Irq;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.IrqInfo;
import org.vfio4j.user.wire.SetIrqs;

/** The interrupts of a served device. */
class ServedInterruptsTest extends Served {
  @Test
  void shouldTellOfInterrupts() throws Exception {
    served(
        (client, _) -> {
          assertThat(client.irq(Pci.MSIX))
              .isEqualTo(new IrqInfo(16, Irq.EVENTFD | Irq.NORESIZE, Pci.MSIX, 32));
          assertThat(client.irq(Pci.MSI).count()).isZero();
          refused(EINVAL, () -> client.irq(Pci.IRQS));
        });
  }

  @Test
  void shouldDeliverInterrupts() throws Exception {
    served(
        (client, device) -> {
          try (EventFd zero = EventFd.create(CALLS);
              EventFd one = EventFd.create(CALLS)) {
            int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 3, 2), zero, one);
            Objects.requireNonNull(device.interrupts()).signal(Pci.MSIX, 4);
            assertThat(one.await(SOON)).isEqualTo(1);
            assertThat(zero.take()).isZero();

            int none = SetIrqs.DATA_NONE | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 3, 2));
            assertThat(zero.await(SOON)).isEqualTo(1);
            assertThat(one.await(SOON)).isEqualTo(1);

            BitSet second = new BitSet();
            second.set(1);
            int bool = SetIrqs.DATA_BOOL | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(bool, Pci.MSIX, 3, 2, second));
            assertThat(one.await(SOON)).isEqualTo(1);
            assertThat(zero.take()).isZero();

            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 4, 1));
            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 3, 2));
            assertThat(zero.await(SOON)).isEqualTo(1);
            assertThat(one.take()).isZero();

            client.setIrqs(SetIrqs.of(none, Pci.MSIX, 0, 0));
            Objects.requireNonNull(device.interrupts()).signal(Pci.MSIX, 3);
            assertThat(zero.take()).isZero();
          }
        });
  }

  @Test
  void shouldMaskInterrupts() throws Exception {
    served(
        (client, device) -> {
          try (EventFd line = EventFd.create(CALLS)) {
            int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
            client.setIrqs(SetIrqs.of(trigger, Pci.INTX, 0, 1), line);
            SetIrqs mask = SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.MASK, Pci.INTX, 0, 1);
            SetIrqs unmask = SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.UNMASK, Pci.INTX, 0, 1);
            client.setIrqs(mask);
            Objects.requireNonNull(device.interrupts()).signal(Pci.INTX, 0);
            assertThat(line.take()).isZero();
            client.setIrqs(unmask);
            assertThat(line.await(SOON)).isEqualTo(1);
            refused(
                EINVAL,
                () -> client.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.MASK, Pci.MSIX, 0, 1)));
          }
        });
  }

  @Test
  void shouldRefuseSetIrqsThatMakeNoSense() throws Exception {
    served(
        (client, _) -> {
          int trigger = SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER;
          int none = SetIrqs.DATA_NONE | SetIrqs.TRIGGER;
          try (EventFd fd = EventFd.create(CALLS);
              EventFd other = EventFd.of(Memfd.create(CALLS, "no eventfd", 4096))) {
            client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 31, 1), fd);
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 32, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 31, 2), fd, fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, -1, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, -1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, 2), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSI, 0, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none, Pci.IRQS, 0, 0)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none, Pci.MSIX, 0, 1), fd));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(none | SetIrqs.MASK, Pci.MSIX, 0, 1)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(64 | none, Pci.MSIX, 0, 1)));
            refused(EINVAL, () -> client.setIrqs(SetIrqs.of(trigger, Pci.MSIX, 0, 1), other));
            refused(
                95,
                () ->
                    client.setIrqs(
                        SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.UNMASK, Pci.INTX, 0, 1), fd));
          }
        });
  }
}
