// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.lang.foreign.MemorySegment;

/**
 * What a mapping lets devices reach: memory of this process, or part of a file that this process
 * need not have in its memory. A domain takes either if its hardware can: one that stands for
 * VFIO's type1 maps a file into this process first, since MAP_DMA takes an address; iommufd takes
 * the file itself (IOMMU_IOAS_MAP_FILE).
 */
public sealed interface MapSource {
  /** Bytes, above 0. */
  long size();

  /**
   * Memory of this process, which must stay until it is unmapped.
   *
   * @param segment all of it
   */
  record Memory(MemorySegment segment) implements MapSource {
    @Override
    public long size() {
      return segment.byteSize();
    }
  }

  /**
   * Memory that is counted and mapped and has no bytes: of a VM that is only thought of, however
   * large, one range costs what one page costs. Only an IOMMU in software takes it, and a device
   * that reads or writes there gets an {@link IndexOutOfBoundsException}.
   *
   * @param size bytes, above 0
   */
  record Imagined(long size) implements MapSource {
    /**
     * Checks.
     *
     * @throws IllegalArgumentException if the size is not above 0
     */
    public Imagined {
      if (size <= 0) {
        throw new IllegalArgumentException("not a size: " + size);
      }
    }
  }

  /**
   * Part of a file. Which file it is only the domain's own IOMMU knows, since core opens none: it
   * is a descriptor of {@code org.vfio4j.posix} for the kernel's.
   */
  non-sealed interface File extends MapSource {
    /** Bytes from the start of the file, a multiple of the page size. */
    long offset();
  }
}
