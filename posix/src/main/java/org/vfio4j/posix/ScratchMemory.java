// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Zeroed memory of this process' own that takes none of the machine's until it is touched, page by
 * page, and no more after {@link #clear}: for buffers that must be as long as what could come, and
 * of which most see little. What an {@link Arena} allocates is touched at once, all of it.
 */
public final class ScratchMemory {
  private final SystemCalls calls;
  private final MemorySegment segment;

  private ScratchMemory(SystemCalls calls, MemorySegment segment) {
    this.calls = calls;
    this.segment = segment;
  }

  /**
   * Memory that goes with an arena.
   *
   * @param arena whose scope the memory has, so that no access comes after it
   * @param length bytes, above 0; it begins at a page
   * @throws SystemCallException ENOMEM
   */
  @SuppressWarnings("restricted")
  public static ScratchMemory of(SystemCalls calls, Arena arena, long length) {
    MappedMemory memory = MappedMemory.anonymous(calls, length);
    boolean done = false;
    try {
      // A huge page would be all of it at the first touch. A kernel that has none says EINVAL.
      calls.madvise(memory.address(), length, Constants.MADV_NOHUGEPAGE);
      MemorySegment of =
          MemorySegment.ofAddress(memory.address()).reinterpret(length, arena, _ -> memory.close());
      done = true;
      return new ScratchMemory(calls, of);
    } finally {
      if (!done) {
        memory.close();
      }
    }
  }

  /** All of it. */
  public MemorySegment segment() {
    return segment;
  }

  /**
   * Zeroes it, and gives its pages back. Nobody may close its arena meanwhile.
   *
   * @throws IllegalStateException if it went with its arena
   */
  public void clear() {
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("given back: what is there now is somebody else's");
    }
    // EINVAL where all memory of the process is locked.
    if (calls.madvise(segment.address(), segment.byteSize(), Constants.MADV_DONTNEED) < 0) {
      segment.fill((byte) 0);
    }
  }
}
