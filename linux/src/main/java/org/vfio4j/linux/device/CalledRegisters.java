// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioRegionInfo;

/**
 * Registers behind {@code pread(2)} and {@code pwrite(2)}: an access is a system call, so one
 * buffer and one lock do.
 */
final class CalledRegisters implements Registers {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final RegisterBounds bounds;
  private final DeviceCalls device;
  private final VfioRegionInfo region;
  private final MemorySegment eight = Arena.ofAuto().allocate(Long.BYTES, Long.BYTES);
  private final MemorySegment four = eight.asSlice(0, Integer.BYTES);
  private final MemorySegment two = eight.asSlice(0, Short.BYTES);
  private final MemorySegment one = eight.asSlice(0, Byte.BYTES);

  CalledRegisters(String name, DeviceCalls device, VfioRegionInfo region) {
    this.bounds = new RegisterBounds(name, region.size());
    this.device = device;
    this.region = region;
  }

  @Override
  public long size() {
    return region.size();
  }

  @Override
  public boolean mapped() {
    return false;
  }

  @Override
  public synchronized int read8(long offset) {
    return read(offset, one).get(ValueLayout.JAVA_BYTE, 0) & 0xff;
  }

  @Override
  public synchronized int read16(long offset) {
    return read(offset, two).get(SHORT, 0) & 0xffff;
  }

  @Override
  public synchronized int read32(long offset) {
    return read(offset, four).get(INT, 0);
  }

  @Override
  public synchronized long read64(long offset) {
    return read(offset, eight).get(LONG, 0);
  }

  @Override
  public synchronized void write8(long offset, int value) {
    one.set(ValueLayout.JAVA_BYTE, 0, (byte) value);
    write(offset, one);
  }

  @Override
  public synchronized void write16(long offset, int value) {
    two.set(SHORT, 0, (short) value);
    write(offset, two);
  }

  @Override
  public synchronized void write32(long offset, int value) {
    four.set(INT, 0, value);
    write(offset, four);
  }

  @Override
  public synchronized void write64(long offset, long value) {
    eight.set(LONG, 0, value);
    write(offset, eight);
  }

  private MemorySegment read(long offset, MemorySegment into) {
    bounds.check(offset, (int) into.byteSize());
    try {
      device.read(region, offset, into);
    } catch (VfioException refused) {
      throw closedOr(refused);
    }
    return into;
  }

  private void write(long offset, MemorySegment from) {
    bounds.check(offset, (int) from.byteSize());
    try {
      device.write(region, offset, from);
    } catch (VfioException refused) {
      throw closedOr(refused);
    }
  }

  /**
   * To use what is closed is a mistake of the caller's, as it is with registers that are mapped.
   */
  private RuntimeException closedOr(VfioException refused) {
    return device.descriptor().isOpen()
        ? refused
        : new IllegalStateException(bounds.name() + " is closed", refused);
  }

  @Override
  public String toString() {
    return bounds.name() + ", by calls";
  }
}
