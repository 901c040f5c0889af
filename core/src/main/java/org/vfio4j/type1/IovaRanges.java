// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.ReservedRegion;

/**
 * The IOVAs that every group of a container can use ({@code iommu->iova_list}): sorted, disjoint,
 * immutable. An empty list means that nothing is known yet, and everything is allowed.
 */
record IovaRanges(List<IovaRange> ranges) {
  static final IovaRanges UNKNOWN = new IovaRanges(List.of());

  IovaRanges {
    ranges = List.copyOf(ranges);
  }

  boolean allows(long first, long last) {
    for (IovaRange range : ranges) {
      if (range.contains(first, last)) {
        return true;
      }
    }
    return ranges.isEmpty();
  }

  /** {@code vfio_iommu_aper_resize}. */
  IovaRanges clippedTo(IovaRange aperture) {
    if (ranges.isEmpty()) {
      return new IovaRanges(List.of(aperture));
    }
    List<IovaRange> clipped = new ArrayList<>();
    for (IovaRange r : ranges) {
      if (r.overlaps(aperture.start(), aperture.last())) {
        clipped.add(
            new IovaRange(
                unsignedMax(r.start(), aperture.start()), unsignedMin(r.last(), aperture.last())));
      }
    }
    return new IovaRanges(clipped);
  }

  /** {@code vfio_iommu_resv_exclude}: relaxable regions stay usable. */
  IovaRanges without(Collection<ReservedRegion> regions) {
    List<IovaRange> left = ranges;
    for (ReservedRegion region : regions) {
      if (region.type() != ReservedRegion.Type.DIRECT_RELAXABLE) {
        left = without(left, region);
      }
    }
    return new IovaRanges(left);
  }

  private static List<IovaRange> without(List<IovaRange> from, ReservedRegion region) {
    List<IovaRange> left = new ArrayList<>();
    for (IovaRange r : from) {
      if (!r.overlaps(region.start(), region.last())) {
        left.add(r);
        continue;
      }
      if (Long.compareUnsigned(region.start(), r.start()) > 0) {
        left.add(new IovaRange(r.start(), region.start() - 1));
      }
      if (Long.compareUnsigned(region.last(), r.last()) < 0) {
        left.add(new IovaRange(region.last() + 1, r.last()));
      }
    }
    return left;
  }

  /** {@code vfio_iommu_aper_expand}: only the two ends move. */
  IovaRanges expandedTo(IovaRange bounds) {
    if (ranges.isEmpty()) {
      return this;
    }
    List<IovaRange> moved = new ArrayList<>(ranges);
    moved.set(0, new IovaRange(bounds.start(), moved.getFirst().last()));
    int end = moved.size() - 1;
    moved.set(end, new IovaRange(moved.get(end).start(), bounds.last()));
    return new IovaRanges(moved);
  }

  /**
   * {@code vfio_iommu_resv_refresh}: from the first address to the last, without the regions that
   * are still reserved. Nothing left keeps the old list.
   */
  IovaRanges refreshed(Collection<ReservedRegion> regions) {
    if (ranges.isEmpty()) {
      return this;
    }
    IovaRange whole = new IovaRange(first(), last());
    IovaRanges fresh = new IovaRanges(List.of(whole)).without(regions);
    return fresh.ranges.isEmpty() ? this : fresh;
  }

  boolean isEmpty() {
    return ranges.isEmpty();
  }

  long first() {
    return ranges.getFirst().start();
  }

  long last() {
    return ranges.getLast().last();
  }

  @Override
  public String toString() {
    return ranges.stream()
        .map(r -> "[0x%x-0x%x]".formatted(r.start(), r.last()))
        .collect(Collectors.joining(" "));
  }

  private static long unsignedMax(long a, long b) {
    return Long.compareUnsigned(a, b) >= 0 ? a : b;
  }

  private static long unsignedMin(long a, long b) {
    return Long.compareUnsigned(a, b) <= 0 ? a : b;
  }
}
