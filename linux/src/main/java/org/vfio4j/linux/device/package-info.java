// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * For who writes a driver: a device by its address, its registers, memory with its IOVA, its
 * interrupts. What is opened closes at the end of its {@code try}, or with its device.
 *
 * <p>QEMU's edu device, which copies what it is told to and interrupts when it is done:
 *
 * {@snippet :
 * try (PciDevice device = PciDevice.open("0000:00:02.0");
 *     DmaBuffer buffer = device.allocate(64, IovaRange.ofWidth(28));
 *     Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
 *   device.enableBusMaster();
 *   buffer.segment().setString(0, "for the device");
 *   Registers edu = device.bar(0);
 *   edu.write64(0x80, buffer.iova());          // from
 *   edu.write64(0x88, 0x40000);                // to memory of its own
 *   edu.write64(0x90, buffer.size());
 *   edu.write64(0x98, 1 | 4);                  // start, and interrupt when done
 *   if (msi.await(0, Duration.ofSeconds(5)) == 0) {
 *     throw new IllegalStateException("no interrupt");
 *   }
 * }
 * }
 *
 * <p>The device must be bound to vfio-pci ({@code vfio bind 0000:00:02.0}), with everything else of
 * its IOMMU group. Refusals are {@link org.vfio4j.error.VfioException}s that tell which device, who
 * stands in the way and what to do. Whole drivers: {@code examples/drivers}.
 */
@NullMarked
package org.vfio4j.linux.device;

import org.jspecify.annotations.NullMarked;
