// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentSkipListMap;
import org.vfio4j.error.Errno;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.MessageException;

/**
 * What a client has mapped without handing over a descriptor, by IOVA: where DMA_READ and DMA_WRITE
 * of its server go. Thread-safe.
 */
final class ClientMemory {
  /** By IOVA with its top bit flipped: the signed order of the keys is the unsigned one. */
  private final ConcurrentSkipListMap<Long, Window> windows = new ConcurrentSkipListMap<>();

  record Window(long iova, MemorySegment memory, int flags) {
    boolean holds(long first, long count) {
      long from = first - iova;
      return Long.compareUnsigned(from, memory.byteSize()) < 0
          && Long.compareUnsigned(count, memory.byteSize() - from) <= 0;
    }
  }

  /**
   * Adds what the server is about to be told of. What is at the address already stays: the server
   * refuses the second then.
   */
  Window add(long iova, MemorySegment memory, int flags) {
    Window window = new Window(iova, memory, flags);
    windows.putIfAbsent(key(iova), window);
    return window;
  }

  /** Forgets what the server has refused. */
  void remove(Window window) {
    windows.computeIfPresent(key(window.iova), (_, there) -> there == window ? null : there);
  }

  /** Forgets what is wholly inside. */
  void remove(long first, long size) {
    windows
        .tailMap(key(first))
        .values()
        .removeIf(
            window ->
                Long.compareUnsigned(window.iova - first, size) < 0
                    && Long.compareUnsigned(window.memory.byteSize(), size - (window.iova - first))
                        <= 0);
  }

  void clear() {
    windows.clear();
  }

  /** Copies into a message. */
  void read(long iova, long count, MemorySegment target, long at) {
    Window window = find(iova, count, DmaMap.READ);
    MemorySegment.copy(window.memory, iova - window.iova, target, at, count);
  }

  /** Copies out of a message. */
  void write(long iova, long count, MemorySegment source, long at) {
    Window window = find(iova, count, DmaMap.WRITE);
    MemorySegment.copy(source, at, window.memory, iova - window.iova, count);
  }

  private Window find(long iova, long count, int access) {
    var entry = windows.floorEntry(key(iova));
    if (entry == null || !entry.getValue().holds(iova, count)) {
      throw new MessageException(
          Errno.EFAULT, "no memory at IOVA 0x%x: count=%d".formatted(iova, count));
    }
    if ((entry.getValue().flags & access) == 0) {
      throw new MessageException(Errno.EPERM, "no such access at IOVA 0x%x".formatted(iova));
    }
    return entry.getValue();
  }

  private static long key(long iova) {
    return iova ^ Long.MIN_VALUE;
  }
}
