// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.util.concurrent.locks.LockSupport;
import org.vfio4j.linux.uapi.VfioConstants;

/**
 * QEMU's edu device as a DMA engine, driven through an open device descriptor. It holds 4 KiB of
 * its own and drives 28 address lines; a transfer takes it about 0.1 s.
 */
public final class EduDevice {
  private static final int PCI_COMMAND = 4;
  private static final int MEMORY_AND_MASTER = 6;

  private static final int SOURCE = 0x80;
  private static final int DESTINATION = 0x88;
  private static final int COUNT = 0x90;
  private static final int COMMAND = 0x98;

  /** Bytes that a script's transfer moves. */
  private static final int SCRIPT_BYTES = 16;

  private static final int RUN = 1;
  private static final int FROM_DEVICE = 2;
  private static final int OWN_BUFFER = 0x40000;
  private static final long DEADLINE_NANOS = 10_000_000_000L;
  private static final long POLL_NANOS = 1_000_000;

  private final KernelVfio vfio;
  private final int fd;
  private final long registers;

  /** Enables memory and DMA of the device behind the descriptor. */
  public EduDevice(KernelVfio vfio, int deviceFd) {
    this.vfio = vfio;
    this.fd = deviceFd;
    this.registers = vfio.region(deviceFd, VfioConstants.VFIO_PCI_BAR0_REGION_INDEX);
    long config = vfio.region(deviceFd, VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX);
    int command = vfio.peek(deviceFd, config + PCI_COMMAND) & 0xffff;
    vfio.poke(deviceFd, config + PCI_COMMAND, command | MEMORY_AND_MASTER);
  }

  /** Moves 16 bytes from one IOVA to another, by way of the device's own memory. */
  public void copy(long from, long to) {
    load(from, SCRIPT_BYTES);
    store(to, SCRIPT_BYTES);
  }

  /** Has it read from an IOVA to its own memory; what it gets where that faults is undefined. */
  public void load(long iova, int bytes) {
    transfer((int) iova, OWN_BUFFER, bytes, RUN);
  }

  /** Has it write from its own memory to an IOVA; a fault is no error. */
  public void store(long iova, int bytes) {
    transfer(OWN_BUFFER, (int) iova, bytes, RUN | FROM_DEVICE);
  }

  private void transfer(int source, int destination, int bytes, int command) {
    vfio.poke(fd, registers + SOURCE, source);
    vfio.poke(fd, registers + DESTINATION, destination);
    vfio.poke(fd, registers + COUNT, bytes);
    vfio.poke(fd, registers + COMMAND, command);
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while ((vfio.peek(fd, registers + COMMAND) & RUN) != 0) {
      if (System.nanoTime() - deadline > 0) {
        throw new IllegalStateException("the edu device does not end its transfer");
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }
}
