// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.vfio4j.vfio.Vfio;

/** Bitmaps of dirty pages, between Java's arrays and what the kernel writes to. */
public final class DirtyBits {
  private DirtyBits() {}

  /** Memory for the bits, zeroed, as large as the words. */
  public static MemorySegment allocate(Arena arena, Vfio.Bitmap bitmap) {
    return arena.allocate((long) bitmap.words().length * Long.BYTES, Long.BYTES);
  }

  /** Fills a {@code struct vfio_bitmap}; sizes as they were asked for. */
  public static void describe(Struct struct, Vfio.Bitmap bitmap, MemorySegment bits) {
    struct.u64("pgsize", bitmap.pageSize()).u64("size", bitmap.size()).u64("data", bits.address());
  }

  /** Fills the {@code struct vfio_iommu_type1_dirty_bitmap_get} that follows the struct. */
  public static void describe(Struct struct, Vfio.BitmapRequest request, MemorySegment bits) {
    Struct get = struct.at(struct.layout().byteSize(), Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET);
    get.u64("iova", request.iova()).u64("size", request.size());
    describe(
        get.at(Layouts.offset(get.layout(), "bitmap"), Layouts.VFIO_BITMAP),
        request.bitmap(),
        bits);
  }

  /** Takes over what the kernel wrote. */
  public static void copy(MemorySegment bits, Vfio.Bitmap bitmap) {
    MemorySegment.copy(bits, ValueLayout.JAVA_LONG, 0, bitmap.words(), 0, bitmap.words().length);
  }
}
