// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/** Attributes of sysfs, written as a driver wants them. */
interface AttributeFiles {
  /**
   * Writes a text at once.
   *
   * @throws SystemCallException with the errno that the driver answers
   */
  void write(Path file, String text);

  /** In one write(2), whose errno is the driver's answer. */
  static AttributeFiles of(SystemCalls calls) {
    return (file, text) -> {
      try (Descriptor descriptor = Descriptor.open(calls, file.toString(), Constants.O_WRONLY);
          Descriptor.Use use = descriptor.use();
          Arena arena = Arena.ofConfined()) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        MemorySegment buffer = arena.allocate(bytes.length);
        buffer.copyFrom(MemorySegment.ofArray(bytes));
        long written = calls.write(use.number(), buffer, bytes.length);
        SystemCallException.check(written, "write '%s' to %s".formatted(text.strip(), file));
      }
    };
  }
}
