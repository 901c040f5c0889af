// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.Arrays;

/**
 * PCI configuration space: bytes, and for each bit whether it can be written or is cleared by
 * writing a one. Little endian, as the bus is. Not thread-safe but for what its owner says.
 */
final class EmulatedConfig {
  static final int CONVENTIONAL = 256;
  static final int EXPRESS = 4096;

  static final int COMMAND = 0x04;
  static final int STATUS = 0x06;
  static final int BAR0 = 0x10;
  static final int CAPABILITIES = 0x34;

  static final int COMMAND_MASTER = 1 << 2;
  static final int COMMAND_INTX_DISABLE = 1 << 10;
  static final int STATUS_INTX = 1 << 3;
  static final int MSI_ENABLE = 1;
  static final int MSI_GRANTED = 4;
  static final int MSIX_ENABLE = 1 << 15;
  static final int MSIX_FUNCTION_MASK = 1 << 14;

  private final byte[] initial;
  private final byte[] bytes;
  private final byte[] writable;
  private final byte[] clearable;

  EmulatedConfig(int size) {
    initial = new byte[size];
    bytes = new byte[size];
    writable = new byte[size];
    clearable = new byte[size];
  }

  int size() {
    return bytes.length;
  }

  /** Defines a register: its value after power on, the bits that can be written, or cleared. */
  void define(int offset, int size, long value, long write, long clear) {
    put(initial, offset, size, value);
    put(bytes, offset, size, value);
    put(writable, offset, size, write);
    put(clearable, offset, size, clear);
  }

  /** A register that nobody can write. */
  void define(int offset, int size, long value) {
    define(offset, size, value, 0, 0);
  }

  long get(int offset, int size) {
    long value = 0;
    for (int n = size - 1; n >= 0; n--) {
      value = value << 8 | bytes[offset + n] & 0xff;
    }
    return value;
  }

  /** All of it, to be written down or read back. */
  byte[] bytes() {
    return bytes;
  }

  byte get(int offset) {
    return bytes[offset];
  }

  /** The device itself changes a register, whatever can be written. */
  void set(int offset, int size, long value) {
    put(bytes, offset, size, value);
  }

  /** The user writes a byte. */
  void write(int offset, byte value) {
    int kept = bytes[offset] & ~writable[offset] & ~(value & clearable[offset]);
    bytes[offset] = (byte) (kept | value & writable[offset]);
  }

  void reset() {
    System.arraycopy(initial, 0, bytes, 0, bytes.length);
  }

  private static void put(byte[] to, int offset, int size, long value) {
    for (int n = 0; n < size; n++) {
      to[offset + n] = (byte) (value >>> 8 * n);
    }
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(bytes, 64));
  }
}
