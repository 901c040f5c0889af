// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.linux.uapi.VfioRegionInfo;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * QEMU's edu device as a DMA engine: 4088 usable bytes of its own, filled from one IOVA and emptied
 * to another. A transfer takes it a tenth of a second.
 */
public final class Edu implements AutoCloseable {
  /** Bytes of its own memory. */
  public static final int BUFFER = 4088;

  private static final long SOURCE = 0x80;
  private static final long TARGET = 0x88;
  private static final long COUNT = 0x90;
  private static final long COMMAND = 0x98;
  private static final int OWN = 0x40000;
  private static final int RUN = 1;
  private static final int TO_MEMORY = 2;

  private static final long PCI_COMMAND = 4;
  private static final int MEMORY_AND_MASTER = 6;
  private static final int BAR_BYTES = 1 << 20;
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private interface Registers extends AutoCloseable {
    int read(long offset);

    void write(long offset, int value);

    @Override
    void close();
  }

  private final Registers registers;

  private Edu(Registers registers) {
    this.registers = registers;
  }

  /** As a user of VFIO reaches it; the device stays the caller's. */
  public static Edu open(DeviceCalls device) {
    return open(device, false);
  }

  /** The same, and closes the device with this. */
  public static Edu take(DeviceCalls device) {
    return open(device, true);
  }

  private static Edu open(DeviceCalls device, boolean owned) {
    VfioRegionInfo config = device.region(VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX);
    int command = device.readInt(config, PCI_COMMAND);
    device.writeInt(config, PCI_COMMAND, command | MEMORY_AND_MASTER);
    VfioRegionInfo bar = device.region(VfioConstants.VFIO_PCI_BAR0_REGION_INDEX);
    return new Edu(
        new Registers() {
          @Override
          public int read(long offset) {
            return device.readInt(bar, offset);
          }

          @Override
          public void write(long offset, int value) {
            device.writeInt(bar, offset, value);
          }

          @Override
          public void close() {
            if (owned) {
              device.close();
            }
          }
        });
  }

  /**
   * Behind VFIO's back, through sysfs: whether a device that nobody has open any more could still
   * do DMA. Only while no user has it.
   */
  public static Edu openBehindVfio(String address) {
    SystemCalls calls = SystemCalls.libc();
    String folder = "/sys/bus/pci/devices/" + address;
    try (Descriptor config = Descriptor.open(calls, folder + "/config", Constants.O_RDWR);
        Arena arena = Arena.ofConfined()) {
      MemorySegment two = arena.allocate(ValueLayout.JAVA_SHORT);
      two.set(ValueLayout.JAVA_SHORT, 0, (short) MEMORY_AND_MASTER);
      SystemCallException.check(calls.pwrite(number(config), two, 2, PCI_COMMAND), "pwrite");
    }
    try (Descriptor file = Descriptor.open(calls, folder + "/resource0", Constants.O_RDWR)) {
      MappedMemory bar =
          MappedMemory.ofFile(file, 0, BAR_BYTES, Constants.PROT_READ | Constants.PROT_WRITE);
      return new Edu(
          new Registers() {
            @Override
            public int read(long offset) {
              return bar.segment().get(ValueLayout.JAVA_INT, offset);
            }

            @Override
            public void write(long offset, int value) {
              bar.segment().set(ValueLayout.JAVA_INT, offset, value);
            }

            @Override
            public void close() {
              bar.close();
            }
          });
    }
  }

  /** Copies at most {@link #BUFFER} bytes from one IOVA to another; a fault is no error. */
  public void copy(long from, long to, int count) {
    fill(from, count);
    empty(to, count);
  }

  /** Reads memory into its own. */
  public void fill(long from, int count) {
    transfer((int) from, OWN, count, RUN);
  }

  /** Writes its own to memory. */
  public void empty(long to, int count) {
    transfer(OWN, (int) to, count, RUN | TO_MEMORY);
  }

  private void transfer(int from, int to, int count, int command) {
    registers.write(SOURCE, from);
    registers.write(TARGET, to);
    registers.write(COUNT, count);
    registers.write(COMMAND, command);
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while ((registers.read(COMMAND) & RUN) != 0) {
      if (System.nanoTime() - deadline > 0) {
        throw new IllegalStateException("the device does not finish");
      }
      Thread.onSpinWait();
    }
  }

  @Override
  public void close() {
    registers.close();
  }
}
