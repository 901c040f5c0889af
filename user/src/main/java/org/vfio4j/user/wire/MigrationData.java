// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * MIG_DATA_READ and MIG_DATA_WRITE: the state of a device that moves to another host.
 *
 * <pre>
 *  0               4               8
 *  +---------------+---------------+
 *  |     argsz     |     size      |  data, in a write and in the reply to a read
 *  +---------------+---------------+
 * </pre>
 *
 * @param command {@link Command#MIG_DATA_READ} or {@link Command#MIG_DATA_WRITE}
 * @param argsz in a read bytes at most of the reply's payload, in a write bytes of this structure
 *     with its data
 * @param size bytes of data
 */
public record MigrationData(int command, int argsz, int size) implements Message {
  /** Bytes without data. */
  public static final int SIZE = 8;

  /** Reads the fields. */
  public static MigrationData parse(int command, MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(command, from, at, size, SIZE);
    int data = Fields.get32(from, at + 4);
    if (command == Command.MIG_DATA_WRITE) {
      Fields.exactly(command, size, SIZE + Integer.toUnsignedLong(data));
    }
    return new MigrationData(command, argsz, data);
  }

  /** Bytes of the fields, without data. */
  @Override
  public int length() {
    return SIZE;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, size);
  }
}
