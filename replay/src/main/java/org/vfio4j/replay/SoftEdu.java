// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;

/** The DMA engines of QEMU's edu devices on a machine in software: 16 bytes in, 16 bytes out. */
public final class SoftEdu {
  private static final int BYTES = 16;

  /** The device drives 28 address lines. */
  private static final long MASK = (1L << 28) - 1;

  /** What each device's own buffer holds, by its name. */
  private final Map<String, byte[]> held = new HashMap<>();

  /**
   * Has a device copy from one IOVA to another. What faults is lost: reads are zeros then, and
   * writes go nowhere.
   *
   * @param port of the device
   */
  public void copy(DmaPort port, long from, long to) {
    MemorySegment own =
        MemorySegment.ofArray(held.computeIfAbsent(port.device(), k -> new byte[BYTES]));
    try {
      port.read(from & MASK, own);
    } catch (DmaFaultException fault) {
      own.fill((byte) 0);
    }
    try {
      port.write(to & MASK, own);
    } catch (DmaFaultException fault) {
      // The device sees nothing of it: the bytes are gone, as on hardware. SoftIommu has the fault.
    }
  }
}
