// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * VERSION, the first message: what the client proposes, and, in the reply, what holds. The data may
 * be absent; then every capability has its default.
 *
 * <pre>
 *  0       2       4
 *  +-------+-------+---------------
 *  | major | minor |  JSON in UTF-8, with a zero byte at its end
 *  +-------+-------+---------------
 * </pre>
 *
 * @param major a change of it breaks what was before
 * @param minor a server answers no higher one than was proposed
 * @param capabilities what the sender can do
 */
public record Version(int major, int minor, Capabilities capabilities) implements Message {
  /** Bytes without data. */
  public static final int SIZE = 4;

  /** Bytes of data that are looked at; QEMU sends about 200. */
  public static final int MAX_DATA = 16 << 10;

  /** Reads it. */
  public static Version parse(MemorySegment from, long at, long size) {
    Fields.atLeast(Command.VERSION, size, SIZE);
    long length = size - SIZE;
    if (length > MAX_DATA) {
      throw new MessageException(
          "too much version data: bytes=%d, max=%d".formatted(length, MAX_DATA));
    }
    Capabilities capabilities = Capabilities.NONE;
    if (length > 0) {
      if (from.get(ValueLayout.JAVA_BYTE, at + size - 1) != 0) {
        throw new MessageException("the version data does not end with a zero byte");
      }
      byte[] bytes = from.asSlice(at + SIZE, length - 1).toArray(ValueLayout.JAVA_BYTE);
      capabilities = Capabilities.parse(new String(bytes, StandardCharsets.UTF_8));
    }
    return new Version(Fields.get16(from, at), Fields.get16(from, at + 2), capabilities);
  }

  private byte[] data() {
    return capabilities.toJson().getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public int command() {
    return Command.VERSION;
  }

  @Override
  public int length() {
    return SIZE + data().length + 1;
  }

  @Override
  public void encode(MemorySegment to, long at) {
    byte[] data = data();
    Fields.put16(to, at, major);
    Fields.put16(to, at + 2, minor);
    MemorySegment.copy(data, 0, to, ValueLayout.JAVA_BYTE, at + SIZE, data.length);
    to.set(ValueLayout.JAVA_BYTE, at + SIZE + data.length, (byte) 0);
  }
}
