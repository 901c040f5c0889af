// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * What a PCI device does: the part of it that its author writes. What it looks like (identity,
 * BARs, capabilities) is said to {@link EmulatedDevice#builder}, which makes a {@link
 * EmulatedDevice} of both.
 *
 * <p>Calls come from one thread at a time and must not block; see {@link Emulation}. In particular
 * they never do DMA themselves: a thread of the device's own does.
 */
public interface PciModel {
  /**
   * Reads a register.
   *
   * @param bar 0 to 5
   * @param offset bytes into the BAR, a multiple of {@code size}
   * @param size 1, 2, 4 or 8 bytes; wider or odd accesses arrive in such pieces, lowest first
   * @return the value in the lowest {@code size} bytes; the rest does not matter
   */
  long read(int bar, long offset, int size);

  /**
   * Writes a register.
   *
   * @param bar 0 to 5
   * @param offset bytes into the BAR, a multiple of {@code size}
   * @param size 1, 2, 4 or 8 bytes
   * @param value the lowest {@code size} bytes; the rest is zero
   */
  void write(int bar, long offset, int size, long value);

  /** A user has come; the device is as after power on. */
  void attached(DeviceBus bus);

  /** Everything back as after power on; what is under way is given up. */
  void reset();

  /** The user has gone. When this returns no thread of the device uses the bus any more. */
  void detached();
}
