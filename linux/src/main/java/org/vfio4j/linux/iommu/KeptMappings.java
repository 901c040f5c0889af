// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.lang.System.Logger.Level;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
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

  /** The largest page of a kernel; no IOMMU has an address in it. */
  private static final long LAST_PAGE = -65536;

  private static final int VADDR = VfioConstants.VFIO_DMA_MAP_FLAG_VADDR;

  private final ContainerCalls container;

  /** Whether the kernel can move them (5.12). */
  private final boolean movable;

  /** Sizes by first addresses. */
  private final NavigableMap<Long, Long> taken = new TreeMap<>(Long::compareUnsigned);

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

  /** Moves a range, or maps it where it is not there. */
  void map(long vaddr, long iova, long size, int prot) {
    if (!movable) {
      mapAnew(vaddr, iova, size, prot);
    } else if (!move(vaddr, iova, size)) {
      container.map(vaddr, iova, size, prot);
    }
    taken.put(iova, size);
  }

  /** A kernel that moves nothing says by EEXIST that it is there. */
  private void mapAnew(long vaddr, long iova, long size, int prot) {
    try {
      container.map(vaddr, iova, size, prot);
    } catch (VfioException refused) {
      if (refused.errno() != Errno.EEXIST) {
        throw refused;
      }
    }
  }

  /**
   * Everything is taken over. What is mapped besides nobody knows of: it goes, or devices would
   * reach memory that is not theirs any more, and no group could come.
   */
  void end() {
    if (!movable) {
      return;
    }
    if (taken.isEmpty()) {
      unmap(0, 0, VfioConstants.VFIO_DMA_UNMAP_FLAG_ALL);
      return;
    }
    long free = 0;
    for (Map.Entry<Long, Long> each : taken.entrySet()) {
      if (each.getKey() != free) {
        unmap(free, each.getKey() - free, 0);
      }
      free = each.getKey() + each.getValue();
    }
    // Not to the very end: kernels before 7.x take that for nothing at all.
    if (Long.compareUnsigned(free - 1, LAST_PAGE - 1) < 0) {
      unmap(free, LAST_PAGE - free, 0);
    }
  }

  private void unmap(long iova, long size, int flags) {
    try {
      if (container.unmap(iova, size, flags) != 0) {
        LOG.log(Level.WARNING, "memory that nobody has taken over was mapped, and is not any more");
      }
    } catch (VfioException refused) {
      LOG.log(
          Level.ERROR,
          "memory that nobody has taken over stays mapped behind IOVA 0x%x: %s"
              .formatted(iova, refused.getMessage()));
    }
  }

  private boolean move(long vaddr, long iova, long size) {
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
