// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.testing.Bound;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Server;
import org.vfio4j.user.qtest.PciFunction;
import org.vfio4j.user.qtest.Qemu;

/** A real function, wrapped, in an unmodified QEMU that has no processor: kernel-bench. */
@Timeout(240)
class BrokerQemuTest {
  private static final String NVME = "0000:03:00.0";
  private static final long PLACE = 0xc000_0000L;
  private static final long MAILBOX = 0x30_0000;
  private static final int ENABLE = 0x8000;
  private static final int ENTRY = 16;

  /** Vectors that the guest does not let through. */
  private static final Set<Integer> HOLES = Set.of(1, 5, 9);

  private static final int MASKED = 1;

  @TempDir private Path folder;

  private static int data(int vector) {
    return 0x1000 + vector;
  }

  /**
   * Messages go to memory, where they can be seen. The device's interrupts are raised by the
   * kernel, from another descriptor of it.
   */
  @Test
  void shouldDeliverMoreThanSixteenVectorsWithHoles() throws Exception {
    assumeTrue(Bound.possible(), "needs VFIO: kernel-bench/run");
    long ram = (long) Qemu.MEMORY_MIB << 20;
    try (Bound _ = Bound.to("vfio-pci", NVME);
        Broker broker = new Broker(new LinuxIommu(SystemCalls.libc()), Kernels.running());
        Vm vm = broker.vm(VmSettings.of("qemu", ram));
        Server server = Guest.serve(folder, vm, NVME, PassOptions.WRAPPED)) {
      try (Qemu qemu = Qemu.plugged(folder, server.path())) {
        PciFunction nvme = new PciFunction(qemu.qtest, PciFunction.FIRST_SLOT);
        nvme.enable(PLACE);
        int msix = nvme.capability(PciFunction.CAPABILITY_MSIX);
        int vectors = (nvme.get(msix + 2, 2) & 0x7ff) + 1;
        assertThat(vectors).isGreaterThan(16);
        int where = nvme.get(msix + 4);
        assertThat(where & 7).as("the table's BAR").isZero();
        long table = PLACE + (where & ~7);
        for (int n = 0; n < vectors; n++) {
          qemu.qtest.writel(table + (long) n * ENTRY, MAILBOX + (long) n * Integer.BYTES);
          qemu.qtest.writel(table + (long) n * ENTRY + 4, 0);
          qemu.qtest.writel(table + (long) n * ENTRY + 8, data(n));
          qemu.qtest.writel(table + (long) n * ENTRY + 12, HOLES.contains(n) ? MASKED : 0);
        }
        nvme.set(msix + 2, 2, ENABLE);
        try (DeviceCalls device = broker.iommu().openDevice(NVME)) {
          for (int n = 0; n < vectors; n++) {
            int vector = n;
            if (HOLES.contains(n)) {
              continue;
            }
            device.loopback(VfioConstants.VFIO_PCI_MSIX_IRQ_INDEX, n, 1);
            qemu.qtest.await("vector " + n, () -> received(qemu, vector) == data(vector));
          }
          for (int hole : HOLES) {
            assertThat(received(qemu, hole)).as("masked vector %d", hole).isZero();
          }
          int hole = 5;
          qemu.qtest.writel(table + (long) hole * ENTRY + 12, 0);
          device.loopback(VfioConstants.VFIO_PCI_MSIX_IRQ_INDEX, hole, 1);
          qemu.qtest.await("the unmasked vector", () -> received(qemu, hole) == data(hole));
        }
      }
      Guest.awaitIdle(broker);
    }
  }

  private static int received(Qemu qemu, int vector) {
    return qemu.qtest.readl(MAILBOX + (long) vector * Integer.BYTES);
  }
}
