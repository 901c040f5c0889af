// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Registers in memory of this process. Volatile accesses: the only ones in Java that are never
 * joined, split, repeated or moved.
 */
final class MappedRegisters implements Registers {
  private static final VarHandle BYTE = ValueLayout.JAVA_BYTE.varHandle();
  private static final VarHandle SHORT = littleEndian(ValueLayout.JAVA_SHORT);
  private static final VarHandle INT = littleEndian(ValueLayout.JAVA_INT);
  private static final VarHandle LONG = littleEndian(ValueLayout.JAVA_LONG);

  private final RegisterBounds bounds;
  private final MemorySegment memory;

  /**
   * Registers that are somewhere.
   *
   * @param name what they are, for messages
   * @param memory all of them, aligned to 8
   */
  MappedRegisters(String name, MemorySegment memory) {
    this.bounds = new RegisterBounds(name, memory.byteSize());
    this.memory = memory;
  }

  private static VarHandle littleEndian(ValueLayout layout) {
    return layout.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  }

  @Override
  public long size() {
    return memory.byteSize();
  }

  @Override
  public boolean mapped() {
    return true;
  }

  @Override
  public int read8(long offset) {
    bounds.check(offset, 1);
    return (byte) BYTE.getVolatile(memory, offset) & 0xff;
  }

  @Override
  public int read16(long offset) {
    bounds.check(offset, 2);
    return (short) SHORT.getVolatile(memory, offset) & 0xffff;
  }

  @Override
  public int read32(long offset) {
    bounds.check(offset, 4);
    return (int) INT.getVolatile(memory, offset);
  }

  @Override
  public long read64(long offset) {
    bounds.check(offset, 8);
    return (long) LONG.getVolatile(memory, offset);
  }

  @Override
  public void write8(long offset, int value) {
    bounds.check(offset, 1);
    BYTE.setVolatile(memory, offset, (byte) value);
  }

  @Override
  public void write16(long offset, int value) {
    bounds.check(offset, 2);
    SHORT.setVolatile(memory, offset, (short) value);
  }

  @Override
  public void write32(long offset, int value) {
    bounds.check(offset, 4);
    INT.setVolatile(memory, offset, value);
  }

  @Override
  public void write64(long offset, long value) {
    bounds.check(offset, 8);
    LONG.setVolatile(memory, offset, value);
  }

  @Override
  public String toString() {
    return bounds.name() + ", mapped";
  }
}
