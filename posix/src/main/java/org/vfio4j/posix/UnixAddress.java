// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** {@code struct sockaddr_un}. */
final class UnixAddress {
  /** Bytes of a path, the zero at its end left out. */
  static final int MAX_PATH = 107;

  private UnixAddress() {}

  static MemorySegment of(Arena arena, Path path) {
    byte[] bytes = path.toString().getBytes(StandardCharsets.UTF_8);
    if (bytes.length > MAX_PATH || bytes.length == 0) {
      throw new IllegalArgumentException(
          "path of a socket: %d bytes, at most %d: %s".formatted(bytes.length, MAX_PATH, path));
    }
    MemorySegment address = arena.allocate(2L + MAX_PATH + 1, 2);
    address.set(ValueLayout.JAVA_SHORT, 0, (short) Constants.AF_UNIX);
    MemorySegment.copy(bytes, 0, address, ValueLayout.JAVA_BYTE, 2, bytes.length);
    return address;
  }
}
