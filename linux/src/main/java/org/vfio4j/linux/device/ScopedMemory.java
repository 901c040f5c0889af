// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.MappedMemory;

/**
 * Memory from {@code mmap(2)} whose segment ends with it: a use after {@link #close} is an {@link
 * IllegalStateException}, not the death of the process.
 */
final class ScopedMemory implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment segment;

  /** Takes the memory over. */
  @SuppressWarnings("restricted")
  ScopedMemory(MappedMemory memory) {
    segment = memory.segment().reinterpret(arena, _ -> memory.close());
  }

  MemorySegment segment() {
    return segment;
  }

  /**
   * Ends the segment and unmaps the memory.
   *
   * @throws IllegalStateException if a system call uses the segment just now; nothing is changed
   */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
