// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;

/**
 * Gives out IOVAs: first fit within the windows that the kernel allows, which leave out what is
 * reserved and what the IOMMU cannot address. All addresses are unsigned, all ends inclusive.
 * Thread-safe.
 */
final class IovaAllocator {
  /**
   * Addresses below are given only by {@link #take}: a driver that writes a zero, or a small
   * number, where an IOVA belongs then hits nothing.
   */
  static final long LOWEST = 0x10000;

  private static final long HIGHEST_ALIGNMENT = 1L << 21;

  /** What is in use and what is not, each from first to last address; neighbours are joined. */
  private final TreeMap<Long, Long> taken = new TreeMap<>(Long::compareUnsigned);

  private final TreeMap<Long, Long> free = new TreeMap<>(Long::compareUnsigned);
  private List<IovaRange> windows = List.of();

  /**
   * Sets what is allowed, as {@code VFIO_IOMMU_GET_INFO} tells; it changes with each group that
   * comes or goes. What was given stays taken.
   *
   * @param allowed disjoint, ascending
   */
  synchronized void allow(List<IovaRange> allowed) {
    windows = List.copyOf(allowed);
    free.clear();
    windows.forEach(w -> free.put(w.start(), w.last()));
    taken.forEach(this::cut);
  }

  /** Has {@link #allocate} leave out what others use, until the next {@link #allow}. */
  synchronized void avoid(List<IovaRange> used) {
    used.forEach(range -> cut(range.start(), range.last()));
  }

  /** What is allowed. */
  synchronized List<IovaRange> windows() {
    return windows;
  }

  /**
   * The lowest free IOVA from {@link #LOWEST} on that has room, aligned to the power of two that is
   * not below the size, as {@code dma_alloc_coherent()} aligns; 2 MiB at most.
   *
   * @param bytes a multiple of the page size, above 0
   * @param within what the device can address
   * @throws VfioException ENOSPC if there is no room; tells the windows and the limit
   */
  synchronized long allocate(long bytes, IovaRange within) {
    checkSize(bytes);
    long alignment = alignment(bytes);
    for (Map.Entry<Long, Long> hole : free.entrySet()) {
      long start = max(max(hole.getKey(), within.start()), LOWEST);
      long aligned = (start + alignment - 1) & -alignment;
      long last = aligned + bytes - 1;
      boolean wraps =
          Long.compareUnsigned(aligned, start) < 0 || Long.compareUnsigned(last, aligned) < 0;
      if (!wraps && Long.compareUnsigned(last, min(hole.getValue(), within.last())) <= 0) {
        put(aligned, last);
        return aligned;
      }
    }
    throw noRoom(bytes, within);
  }

  /**
   * Takes a place that the caller chose. Whether it is allowed is for the kernel to say.
   *
   * @throws VfioException EEXIST if part of it is taken
   */
  synchronized void take(long iova, long bytes) {
    checkSize(bytes);
    long last = iova + bytes - 1;
    if (Long.compareUnsigned(last, iova) < 0) {
      throw new IllegalArgumentException(
          "beyond 2^64: iova=0x%x, bytes=0x%x".formatted(iova, bytes));
    }
    Map.Entry<Long, Long> below = taken.floorEntry(last);
    if (below != null && Long.compareUnsigned(below.getValue(), iova) >= 0) {
      throw new VfioException(
          Errno.EEXIST,
          Reason.MAPPING_EXISTS,
          "0x%x-0x%x overlaps the mapping at 0x%x-0x%x"
              .formatted(iova, last, below.getKey(), below.getValue()));
    }
    put(iova, last);
  }

  /** Gives back what {@link #allocate} or {@link #take} gave. */
  synchronized void free(long iova) {
    Long last = taken.remove(iova);
    if (last == null) {
      throw new IllegalArgumentException("not taken: iova=0x%x".formatted(iova));
    }
    for (IovaRange window : windows) {
      if (window.overlaps(iova, last)) {
        join(max(iova, window.start()), min(last, window.last()), window);
      }
    }
  }

  /** How many ranges are taken. */
  synchronized int size() {
    return taken.size();
  }

  /** The free ranges, ascending. */
  synchronized List<IovaRange> free() {
    List<IovaRange> ranges = new ArrayList<>();
    free.forEach((start, last) -> ranges.add(new IovaRange(start, last)));
    return ranges;
  }

  private void put(long start, long last) {
    taken.put(start, last);
    cut(start, last);
  }

  /** Takes [start, last] out of the holes, wherever it lies. */
  private void cut(long start, long last) {
    Map.Entry<Long, Long> hole = free.floorEntry(last);
    while (hole != null && Long.compareUnsigned(hole.getValue(), start) >= 0) {
      free.remove(hole.getKey());
      if (Long.compareUnsigned(hole.getKey(), start) < 0) {
        free.put(hole.getKey(), start - 1);
      }
      if (Long.compareUnsigned(hole.getValue(), last) > 0) {
        free.put(last + 1, hole.getValue());
      }
      hole = free.lowerEntry(hole.getKey());
    }
  }

  /** Makes [start, last] a hole, one with those that touch it in the same window. */
  private void join(long start, long last, IovaRange window) {
    long first = start;
    long end = last;
    Map.Entry<Long, Long> before = free.lowerEntry(start);
    if (before != null
        && before.getValue() + 1 == start
        && Long.compareUnsigned(before.getKey(), window.start()) >= 0) {
      first = before.getKey();
    }
    Long after = end == window.last() ? null : free.remove(end + 1);
    if (after != null) {
      end = after;
    }
    free.put(first, end);
  }

  private VfioException noRoom(long bytes, IovaRange within) {
    String allowed = windows.isEmpty() ? "nothing" : describe(windows);
    return new VfioException(
        Errno.ENOSPC,
        Reason.IOVA_NOT_AVAILABLE,
        ("no room for 0x%x bytes, aligned to 0x%x, between 0x%x and 0x%x: the IOMMU allows %s,"
                + " mappings there: %d; close some, allow the device higher addresses, or map less"
                + " at once")
            .formatted(
                bytes,
                alignment(bytes),
                max(within.start(), LOWEST),
                within.last(),
                allowed,
                taken.size()));
  }

  /** As in {@code [0x0-0xfedfffff] [0xfef00000-0xffffffffffff]}. */
  static String describe(List<IovaRange> ranges) {
    return ranges.stream()
        .map(r -> "[0x%x-0x%x]".formatted(r.start(), r.last()))
        .collect(Collectors.joining(" "));
  }

  private static void checkSize(long bytes) {
    if (bytes <= 0) {
      throw new IllegalArgumentException("nothing to map: bytes=" + bytes);
    }
  }

  private static long alignment(long bytes) {
    return bytes >= HIGHEST_ALIGNMENT ? HIGHEST_ALIGNMENT : Long.highestOneBit(2 * bytes - 1);
  }

  private static long max(long a, long b) {
    return Long.compareUnsigned(a, b) >= 0 ? a : b;
  }

  private static long min(long a, long b) {
    return Long.compareUnsigned(a, b) <= 0 ? a : b;
  }
}
