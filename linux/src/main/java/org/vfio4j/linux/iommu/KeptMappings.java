// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.lang.System.Logger.Level;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.ContainerCalls;
import org.vfio4j.linux.uapi.VfioConstants;

/**
 * What a process that is gone has mapped in a container, while its successor takes it over: devices
 * go on reaching it, and the kernel counts it as the successor's. A kernel tells nobody what is
 * mapped, but whether a given range is: {@code VFIO_DMA_MAP_FLAG_VADDR} of it is ENOENT if not.
 */
final class KeptMappings {
  private static final System.Logger LOG = System.getLogger(KeptMappings.class.getName());
  private static final int VADDR = VfioConstants.VFIO_DMA_MAP_FLAG_VADDR;

  private final ContainerCalls container;

  /** Whether the kernel can move them (5.12). */
  private final boolean movable;

  KeptMappings(ContainerCalls container) {
    this.container = container;
    movable = container.extension(VfioConstants.VFIO_UPDATE_VADDR);
    if (movable) {
      invalidate(0, 0, VfioConstants.VFIO_DMA_UNMAP_FLAG_ALL);
    }
  }

  /** EINVAL where one is invalid already: the process before died while it did the same. */
  private void invalidate(long iova, long size, int flags) {
    try {
      container.unmap(iova, size, VfioConstants.VFIO_DMA_UNMAP_FLAG_VADDR | flags);
    } catch (VfioException already) {
      LOG.log(Level.DEBUG, "addresses stay as they are: {0}", already.getMessage());
    }
  }

  /**
   * Moves a range.
   *
   * @return whether it is there; if not it is to be mapped
   */
  boolean move(long vaddr, long iova, long size) {
    if (!movable) {
      return false;
    }
    try {
      container.map(vaddr, iova, size, VADDR);
      return true;
    } catch (VfioException refused) {
      return refused.errno() != Errno.ENOENT && again(vaddr, iova, size);
    }
  }

  /** It was valid still, so it is there, whoever it counts for. */
  private boolean again(long vaddr, long iova, long size) {
    invalidate(iova, size, 0);
    try {
      container.map(vaddr, iova, size, VADDR);
    } catch (VfioException refused) {
      LOG.log(
          Level.WARNING,
          "0x%x bytes at IOVA 0x%x stay the devices', and count for a process that has gone: %s"
              .formatted(size, iova, refused.getMessage()));
    }
    return true;
  }
}
