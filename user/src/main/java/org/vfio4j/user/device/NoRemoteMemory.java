// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.lang.foreign.MemorySegment;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** The {@link RemoteMemory} of a user that cannot be asked. */
final class NoRemoteMemory implements RemoteMemory {
  @Override
  public void read(long iova, MemorySegment target, long offset, long count) {
    throw refused(iova, count);
  }

  @Override
  public void write(long iova, MemorySegment source, long offset, long count) {
    throw refused(iova, count);
  }

  private static VfioException refused(long iova, long count) {
    return new VfioException(
        Errno.EIO,
        Reason.BAD_ADDRESS,
        "%d bytes at IOVA 0x%x came without a descriptor, and the user cannot be asked for them"
            .formatted(count, iova));
  }
}
