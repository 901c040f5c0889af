// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.List;
import java.util.Optional;
import org.vfio4j.posix.Descriptor;

/**
 * What {@code VFIO_DEVICE_GET_REGION_INFO} tells of a region.
 *
 * @param size bytes; 0 if the device has no such region
 * @param flags {@link #READ}, {@link #WRITE} and {@link #MMAP}, or'ed
 * @param areas what of it may be mapped ({@code VFIO_REGION_INFO_CAP_SPARSE_MMAP}); empty with
 *     {@link #MMAP} means all of it
 * @param memory the file to map, with {@link #MMAP}
 * @param msixMappable the pages of the MSI-X table may be mapped with the others ({@code
 *     VFIO_REGION_INFO_CAP_MSIX_MAPPABLE})
 */
public record Region(
    long size, int flags, List<Area> areas, Optional<Memory> memory, boolean msixMappable) {
  /** {@code VFIO_REGION_INFO_FLAG_READ}. */
  public static final int READ = 1;

  /** {@code VFIO_REGION_INFO_FLAG_WRITE}. */
  public static final int WRITE = 2;

  /** {@code VFIO_REGION_INFO_FLAG_MMAP}. */
  public static final int MMAP = 4;

  /** A region that the device does not have. */
  public static final Region NONE = new Region(0, 0, List.of(), Optional.empty());

  /**
   * A part of a region.
   *
   * @param offset bytes into the region, page aligned
   * @param size bytes, page aligned
   */
  public record Area(long offset, long size) {}

  /**
   * What lies behind a region that can be mapped.
   *
   * @param file stays the device's, which keeps it open while it is served
   * @param offset where in the file the region starts, in bytes, page aligned
   */
  public record Memory(Descriptor file, long offset) {}

  /** Copies the list. */
  public Region {
    if (size < 0 || (flags & MMAP) != 0 != memory.isPresent()) {
      throw new IllegalArgumentException(
          "no such region: size=0x%x, flags=0x%x, memory=%s".formatted(size, flags, memory));
    }
    areas = List.copyOf(areas);
  }

  /** A region whose MSI-X table, if it has one, is not to be mapped. */
  public Region(long size, int flags, List<Area> areas, Optional<Memory> memory) {
    this(size, flags, areas, memory, false);
  }

  /** A region of registers: read and written by messages only. */
  public static Region registers(long size) {
    return new Region(size, READ | WRITE, List.of(), Optional.empty());
  }
}
