// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import org.vfio4j.iommu.DmaFault;
import org.vfio4j.iommu.DmaFaultException;

/**
 * What a PCI device has of the world: its user's memory and a way to interrupt. Thread-safe. DMA
 * throws {@link DmaFaultException} where nothing is mapped for it, and everywhere while the user
 * has not made the device a bus master; see {@link UserMemory} for what memory costs. It must not
 * be called from {@link PciModel#read} and its like.
 */
public final class DeviceBus {
  private final EmulatedDevice device;
  private final UserMemory dma;
  private final UserInterrupts interrupts;
  private final LastingState state;

  DeviceBus(EmulatedDevice device, UserMemory dma, UserInterrupts interrupts) {
    this.device = device;
    this.dma = dma;
    this.interrupts = interrupts;
    state = device.state();
  }

  /** Where a {@link LastingModel} writes down what it is. */
  public LastingState state() {
    return state;
  }

  /** Reads memory; see {@link UserMemory#read}. */
  public void read(long iova, MemorySegment target, long offset, long count) {
    checkMaster(iova, count, UserMemory.READ);
    dma.read(iova, target, offset, count);
  }

  /** Writes memory; see {@link UserMemory#write}. */
  public void write(long iova, MemorySegment source, long offset, long count) {
    checkMaster(iova, count, UserMemory.WRITE);
    dma.write(iova, source, offset, count);
  }

  /** Copies memory; see {@link UserMemory#copy}. */
  public void copy(long from, long to, long count) {
    checkMaster(from, count, UserMemory.READ);
    dma.copy(from, to, count);
  }

  /** Writes eight bytes as one, after all before; see {@link UserMemory#publish}. */
  public void publish(long iova, long value) {
    checkMaster(iova, Long.BYTES, UserMemory.WRITE);
    dma.publish(iova, value);
  }

  private void checkMaster(long iova, long count, int access) {
    if (!device.busMaster()) {
      throw new DmaFaultException(
          new DmaFault(device.name(), iova, count, access, DmaFault.Cause.NO_PERMISSION));
    }
  }

  /**
   * Signals by MSI-X or MSI, whichever the user has set up; nothing if neither. What cannot be
   * delivered yet, because the vector is masked, is pending and delivered later, once. With fewer
   * MSI vectors than the device asked for, they share the last.
   *
   * @param vector from 0
   */
  public void signal(int vector) {
    if (interrupts.live(Pci.MSIX)) {
      interrupts.signal(Pci.MSIX, vector);
    } else if (interrupts.live(Pci.MSI)) {
      interrupts.signal(Pci.MSI, Math.min(vector, device.msiVectors() - 1));
    }
  }

  /**
   * Asserts or takes back the interrupt pin. While the user has set up MSI-X or MSI it stays low.
   *
   * @throws IllegalStateException if the device was built without a pin
   */
  public void intx(boolean asserted) {
    device.assertPin(asserted && !interrupts.live(Pci.MSIX) && !interrupts.live(Pci.MSI));
  }
}
