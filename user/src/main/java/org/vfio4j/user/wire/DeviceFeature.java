// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * DEVICE_FEATURE: gets, sets or asks for an optional feature; all that the protocol knows belong to
 * migration.
 *
 * <pre>
 *  0               4               8
 *  +---------------+---------------+
 *  |     argsz     |     flags     |  data of the feature
 *  +---------------+---------------+
 *  flags: bits 0-15 the feature, 16 get, 17 set, 18 only ask whether that could be done
 * </pre>
 *
 * @param argsz bytes at most of the reply's payload
 * @param flags as drawn
 */
public record DeviceFeature(int argsz, int flags) implements Message {
  /** Bytes without data. */
  public static final int SIZE = 8;

  public static final int FEATURE = 0xffff;
  public static final int GET = 1 << 16;
  public static final int SET = 1 << 17;
  public static final int PROBE = 1 << 18;

  /** Reads the fields, and holds the flags to what {@code vfio_ioctl_device_feature} asks. */
  public static DeviceFeature parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.DEVICE_FEATURE, from, at, size, SIZE);
    int flags = Fields.get32(from, at + 4);
    boolean both = (flags & GET) != 0 && (flags & SET) != 0 && (flags & PROBE) == 0;
    boolean nothing = (flags & (GET | SET | PROBE)) == 0;
    if ((flags & ~(FEATURE | GET | SET | PROBE)) != 0 || both || nothing) {
      throw new MessageException("no such DEVICE_FEATURE: flags=0x%x".formatted(flags));
    }
    return new DeviceFeature(argsz, flags);
  }

  /** Number of the feature. */
  public int feature() {
    return flags & FEATURE;
  }

  @Override
  public int command() {
    return Command.DEVICE_FEATURE;
  }

  /** Bytes of the fields, without data. */
  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
  }
}
