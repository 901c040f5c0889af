// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

/**
 * Registers of a device: a BAR, or its configuration space. Offsets are bytes from the start, a
 * multiple of the width; values are little endian, as PCI has them. Each call is one access of that
 * width, in the order of the calls; what was written to DMA memory before a register is written is
 * there for the device, and what the device wrote before a register is read is there after it.
 *
 * <p>A BAR that the kernel lets be mapped is read and written in place; any other, and
 * configuration space, by {@code pread(2)} and {@code pwrite(2)}, where the kernel may split a
 * 64-bit access into two. Thread-safe.
 *
 * <p>All methods throw {@link IndexOutOfBoundsException} outside {@link #size}, {@link
 * IllegalArgumentException} for an offset that is not a multiple of the width, and {@link
 * IllegalStateException} after the device was closed. Where calls are used, {@link
 * org.vfio4j.error.VfioException} EIO if the device does not answer, as while its memory is
 * disabled. A mapped access then ends in an {@link InternalError}.
 */
public sealed interface Registers permits MappedRegisters, CalledRegisters {
  /** How many bytes there are. */
  long size();

  /** Whether they are mapped; else each access is a system call. */
  boolean mapped();

  /** Reads 8 bits: 0 to 0xff. */
  int read8(long offset);

  /** Reads 16 bits: 0 to 0xffff. */
  int read16(long offset);

  /** Reads 32 bits. */
  int read32(long offset);

  /** Reads 64 bits. */
  long read64(long offset);

  /** Writes the low 8 bits of a value. */
  void write8(long offset, int value);

  /** Writes the low 16 bits of a value. */
  void write16(long offset, int value);

  /** Writes 32 bits. */
  void write32(long offset, int value);

  /** Writes 64 bits. */
  void write64(long offset, long value);
}
