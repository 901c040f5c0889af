// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * The fixed part of a message behind its {@link Header}. Each record has a static {@code parse},
 * which takes where the payload begins and how many bytes it has, and refuses with {@link
 * MessageException} what does not fit into them. Bulk data (of a region access or of DMA) stays in
 * the buffer, at {@code DATA}, and is not part of the record.
 *
 * <p>Numbers are the protocol's, unsigned in Java's signed types. Messages that come often have
 * static accessors beside the record, so that serving them makes no object.
 */
public sealed interface Message
    permits Version,
        DmaMap,
        DmaUnmap,
        DeviceInfo,
        RegionInfo,
        RegionIoFds,
        IrqInfo,
        SetIrqs,
        RegionRead,
        RegionWrite,
        RegionWriteMulti,
        DmaRead,
        DmaWrite,
        DeviceReset,
        DeviceFeature,
        MigrationData {

  /** Its number, one of {@link Command}. */
  int command();

  /** Bytes that {@link #encode} writes. */
  int length();

  /**
   * Writes the payload.
   *
   * @param at where its first byte goes, {@link Header#SIZE} behind the message's
   */
  void encode(MemorySegment to, long at);
}
