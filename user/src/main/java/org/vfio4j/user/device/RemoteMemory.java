// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;

/**
 * Memory of the user that came without a descriptor: it stays where it is, and every access is a
 * message to the user (DMA_READ, DMA_WRITE). Thread-safe. Calls wait for the user's answer, for
 * which the thread that serves the user must be free: they never come from it.
 */
public interface RemoteMemory {
  /** For a user that has no way to be asked: every access is refused. */
  RemoteMemory NONE = new NoRemoteMemory();

  /**
   * Reads. The implementation splits what is more than a message may carry.
   *
   * @param iova first address, unsigned; the whole range is mapped, as far as the server knows
   * @param target where the bytes go, from {@code offset} on
   * @param count bytes, at least 1
   * @throws org.vfio4j.error.VfioException what the user answered; EIO if it is gone or too slow
   */
  void read(long iova, MemorySegment target, long offset, long count);

  /**
   * Writes. The implementation splits what is more than a message may carry.
   *
   * @param iova first address, unsigned; the whole range is mapped, as far as the server knows
   * @param source where the bytes are, from {@code offset} on
   * @param count bytes, at least 1
   * @throws org.vfio4j.error.VfioException what the user answered; EIO if it is gone or too slow
   */
  void write(long iova, MemorySegment source, long offset, long count);
}
