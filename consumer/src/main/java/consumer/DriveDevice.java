// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package consumer;

import java.time.Duration;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.device.DmaBuffer;
import org.vfio4j.linux.device.InterruptKind;
import org.vfio4j.linux.device.Interrupts;
import org.vfio4j.linux.device.PciDevice;
import org.vfio4j.linux.device.Registers;

/** Has QEMU's edu device copy from memory. Argument: its address. */
final class DriveDevice {
  public static void main(String[] arguments) {
    // @start region="readme"
    try (PciDevice device = PciDevice.open(arguments[0]);
        DmaBuffer buffer = device.allocate(64, IovaRange.ofWidth(28)); // the device has 28 bits
        Interrupts msi = device.enable(InterruptKind.MSI, 1)) {
      device.enableBusMaster();
      buffer.segment().setString(0, "for the device");
      Registers edu = device.bar(0);
      edu.write64(0x80, buffer.iova()); // from
      edu.write64(0x88, 0x40000); // to memory of its own
      edu.write64(0x90, buffer.size());
      edu.write64(0x98, 1 | 4); // start, and interrupt when done
      boolean done = msi.await(0, Duration.ofSeconds(5)) > 0;
      System.out.println(done ? "copied" : "no interrupt");
    } catch (VfioException e) {
      System.out.println("cannot: " + e.getMessage()); // says which device, who has it, what to do
    }
    // @end
  }
}
