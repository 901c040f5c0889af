// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** The memory that a script reads, writes and maps: a process's buffer, wherever that is. */
public final class ScriptBuffer {
  private final MemorySegment memory;

  /**
   * Fills the memory as scripts expect to find it.
   *
   * @param memory {@link Environment#BUFFER_SIZE} bytes, the caller's
   */
  public ScriptBuffer(MemorySegment memory) {
    this.memory = memory.fill(Environment.BUFFER_FILL);
  }

  /**
   * Writes a byte over and over.
   *
   * @throws VfioException EFAULT outside the buffer
   */
  public void poke(long offset, byte value, long length) {
    part(offset, length).fill(value);
  }

  /**
   * Reads four bytes.
   *
   * @throws VfioException EFAULT outside the buffer
   */
  public byte[] peek(long offset) {
    return part(offset, Integer.BYTES).toArray(ValueLayout.JAVA_BYTE);
  }

  private MemorySegment part(long offset, long length) {
    long size = memory.byteSize();
    if (offset < 0 || length < 0 || length > size || offset > size - length) {
      throw new VfioException(
          Errno.EFAULT,
          Reason.BAD_ADDRESS,
          "outside the buffer: offset=0x%x, length=0x%x".formatted(offset, length));
    }
    return memory.asSlice(offset, length);
  }
}
