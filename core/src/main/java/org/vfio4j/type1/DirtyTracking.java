// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** Dirty page tracking of a container (VFIO_IOMMU_DIRTY_PAGES). Its lock covers it. */
final class DirtyTracking {
  /** {@code DIRTY_BITMAP_PAGES_MAX}: pages one mapping may have while it is tracked. */
  private static final long MAX_PAGES = Integer.MAX_VALUE;

  private final Mappings mappings;
  private final Attachments attachments;
  private boolean on;

  DirtyTracking(Mappings mappings, Attachments attachments) {
    this.mappings = mappings;
    this.attachments = attachments;
  }

  boolean on() {
    return on;
  }

  void start() {
    if (on) {
      return;
    }
    for (Dma dma : mappings.tree().all()) {
      checkPages(dma);
    }
    on = true;
    mappings.tree().all().forEach(this::track);
  }

  void stop() {
    on = false;
    mappings.tree().all().forEach(dma -> dma.dirty = Optional.empty());
  }

  /** Refuses a mapping that is too large to be tracked. */
  void checkPages(Dma dma) {
    if (Long.divideUnsigned(dma.size, mappings.pageSize()) > MAX_PAGES) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "a mapping of 0x%x bytes is too large to be tracked".formatted(dma.size));
    }
  }

  /** Gives a mapping its bits: clean, but for what drivers have pinned. */
  void track(Dma dma) {
    dma.dirty =
        Optional.of(new DirtyBitmap((int) Long.divideUnsigned(dma.size, mappings.pageSize())));
    dma.markPinned(mappings.pageSize());
  }

  void pinned(Dma dma, long iova) {
    dma.dirty.ifPresent(bits -> bits.set((int) ((iova - dma.iova) / mappings.pageSize())));
  }

  /**
   * Copies and clears the bits of all mappings in a range ({@code vfio_iova_dirty_bitmap}).
   *
   * @param target one bit for each page of the range; words without a mapping are not touched
   */
  void read(long iova, long size, long[] target) {
    if (mappings.tree().bisects(iova, iova + size - 1)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.MAPPING_BISECTED,
          "the range 0x%x to 0x%x cuts a mapping".formatted(iova, iova + size - 1));
    }
    List<Dma> inside = new ArrayList<>();
    for (Dma dma : mappings.tree().all()) {
      if (Long.compareUnsigned(dma.iova, iova) >= 0
          && Long.compareUnsigned(dma.last(), iova + size - 1) <= 0) {
        inside.add(dma);
      }
    }
    for (Dma dma : inside) {
      copy(dma, iova, target);
      dma.dirty.ifPresent(DirtyBitmap::clearAll);
      dma.markPinned(mappings.pageSize());
    }
  }

  /** Adds one mapping's bits to a bitmap that starts at {@code base}. */
  void copy(Dma dma, long base, long[] target) {
    DirtyBitmap bits = dma.dirty.orElseThrow();
    if (!attachments.pinnedScope() && dma.iommuMapped()) {
      bits.setAll();
    }
    bits.copyTo(target, Long.divideUnsigned(dma.iova - base, mappings.pageSize()));
  }
}
