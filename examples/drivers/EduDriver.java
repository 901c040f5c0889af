// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package drivers;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.device.DmaBuffer;
import org.vfio4j.linux.device.InterruptKind;
import org.vfio4j.linux.device.Interrupts;
import org.vfio4j.linux.device.PciDevice;
import org.vfio4j.linux.device.Registers;

/**
 * A driver for QEMU's edu device, which computes factorials and copies memory (QEMU's
 * docs/specs/edu). Bind the device to vfio-pci, then, with the jars of core and linux as class
 * path:
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=ALL-UNNAMED \
 *   -cp core/target/classes:posix/target/classes:linux/target/classes \
 *   examples/drivers/EduDriver.java 0000:00:02.0
 * </pre>
 */
public final class EduDriver {
  private static final int IDENTIFICATION = 0x00;
  private static final int FACTORIAL = 0x08;
  private static final int STATUS = 0x20;
  private static final int STATUS_INTERRUPT = 0x80;
  private static final int INTERRUPT_STATUS = 0x24;
  private static final int INTERRUPT_ACKNOWLEDGE = 0x64;
  private static final int DMA_SOURCE = 0x80;
  private static final int DMA_DESTINATION = 0x88;
  private static final int DMA_COUNT = 0x90;
  private static final int DMA_COMMAND = 0x98;
  private static final int DMA_RUN = 1;
  private static final int DMA_FROM_DEVICE = 2;
  private static final int DMA_INTERRUPT = 4;

  /** The memory inside the device, as it addresses it: 4096 bytes, of which 4095 at once. */
  private static final long DEVICE_MEMORY = 0x40000;

  /** The device drops all higher bits of an address. */
  static final IovaRange REACH = IovaRange.ofWidth(28);

  private final Registers registers;
  private final Interrupts interrupts;

  /** Takes the device in use; all that this opens closes with the device. */
  EduDriver(PciDevice device) {
    registers = device.bar(0);
    if ((registers.read32(IDENTIFICATION) & 0xff) != 0xed) {
      throw new IllegalArgumentException(device + " is no edu device");
    }
    device.enableBusMaster();
    interrupts = device.enable(InterruptKind.MSI, 1);
  }

  /** n! modulo 2^32. */
  int factorial(int n) {
    registers.write32(STATUS, STATUS_INTERRUPT);
    registers.write32(FACTORIAL, n);
    awaitInterrupt("the factorial of " + n);
    return registers.read32(FACTORIAL);
  }

  /** Has the device read a buffer into its own memory. */
  void write(DmaBuffer from) {
    copy(from.iova(), DEVICE_MEMORY, from.size(), 0);
  }

  /** Has the device write its own memory into a buffer. */
  void read(DmaBuffer to) {
    copy(DEVICE_MEMORY, to.iova(), to.size(), DMA_FROM_DEVICE);
  }

  private void copy(long source, long destination, long count, int direction) {
    registers.write64(DMA_SOURCE, source);
    registers.write64(DMA_DESTINATION, destination);
    registers.write64(DMA_COUNT, count);
    registers.write64(DMA_COMMAND, DMA_RUN | DMA_INTERRUPT | direction);
    awaitInterrupt("DMA");
  }

  private void awaitInterrupt(String what) {
    if (interrupts.await(0, Duration.ofSeconds(10)) == 0) {
      throw new IllegalStateException("no interrupt after " + what);
    }
    registers.write32(INTERRUPT_ACKNOWLEDGE, registers.read32(INTERRUPT_STATUS));
  }

  /** Shows it. */
  public static void main(String[] arguments) {
    if (arguments.length != 1) {
      System.err.println(
          "usage: java ... EduDriver.java ADDRESS   # as in 0000:03:00.0, on vfio-pci");
      System.exit(2);
    }
    try (PciDevice device = PciDevice.open(arguments[0]);
        DmaBuffer out = device.allocate(64, REACH);
        DmaBuffer in = device.allocate(64, REACH)) {
      EduDriver edu = new EduDriver(device);
      System.out.printf("%s: 10! = %d%n", device, edu.factorial(10));
      out.segment().setString(0, "there and back", StandardCharsets.US_ASCII);
      edu.write(out);
      edu.read(in);
      System.out.printf(
          "%s: IOVA 0x%x to 0x%x: %s%n",
          device, out.iova(), in.iova(), in.segment().getString(0, StandardCharsets.US_ASCII));
    }
  }
}
