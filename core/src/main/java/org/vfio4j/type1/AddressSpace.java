// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.MapSource;

/**
 * The memory of one process as VFIO sees it ({@code struct mm_struct}): what lies at which virtual
 * address, how much of it is locked, and how much may be. Thread-safe.
 */
public final class AddressSpace {
  /** Bytes in a page of the host. */
  public static final long PAGE = 4096;

  private record Area(long start, MapSource memory, boolean writable) {
    long last() {
      return start + memory.size() - 1;
    }

    boolean reaches(long address) {
      return Long.compareUnsigned(last(), address) >= 0;
    }
  }

  /** A part of what was placed, without a segment of its own; of a file, all that was asked for. */
  record Piece(MapSource of, long start, long size) {
    MapSource source() {
      return switch (of) {
        case MapSource.Memory(MemorySegment segment) ->
            new MapSource.Memory(segment.asSlice(start, size));
        case MapSource.Imagined _ -> new MapSource.Imagined(size);
        case MapSource.File file -> file;
      };
    }
  }

  /** Where memory is found whose pages the IOMMU itself pins. */
  @FunctionalInterface
  public interface Window {
    /**
     * The bytes at an address of the process, or of a file. What is really there is not looked at:
     * the IOMMU does that when it pins.
     *
     * @param vaddr in bytes
     * @param size bytes, above 0
     */
    MapSource at(long vaddr, long size);
  }

  private final TreeMap<Long, Area> areas = new TreeMap<>(Long::compareUnsigned);
  private final Optional<Window> window;
  private long nextFree = 0x7f00_0000_0000L;
  private long lockedPages;
  private long limitPages = Long.MAX_VALUE;
  private boolean ipcLock = true;

  /** Empty memory, pinned and counted here. */
  public AddressSpace() {
    this(Optional.empty());
  }

  private AddressSpace(Optional<Window> window) {
    this.window = window;
  }

  /**
   * The memory of a process whose pages the IOMMU pins and counts, as a container of the kernel
   * does: nothing is counted a second time, a mapping stays the one piece that was asked for, and
   * EFAULT and ENOMEM come from the IOMMU's {@code map}. What plain mediated devices are to reach
   * must still be {@link #place placed}; of a file they reach nothing.
   */
  public static AddressSpace pinnedByIommu(Window window) {
    return new AddressSpace(Optional.of(window));
  }

  /**
   * Puts memory at an address.
   *
   * @param vaddr a multiple of {@link #PAGE}
   * @param memory a whole number of pages
   * @param writable whether DMA may write to it
   * @throws IllegalArgumentException if that is not so, it wraps, or something is there
   */
  public synchronized void place(long vaddr, MemorySegment memory, boolean writable) {
    place(new Area(vaddr, new MapSource.Memory(memory), writable));
  }

  /**
   * Puts writable memory without bytes at an address: it is counted, and no device reads it.
   *
   * @param vaddr a multiple of {@link #PAGE}
   * @param size bytes, a whole number of pages above 0
   * @throws IllegalArgumentException if that is not so, it wraps, or something is there
   */
  public synchronized void imagine(long vaddr, long size) {
    place(new Area(vaddr, new MapSource.Imagined(size), true));
  }

  private void place(Area area) {
    long vaddr = area.start();
    long size = area.memory().size();
    if (vaddr % PAGE != 0 || size % PAGE != 0 || !area.reaches(vaddr)) {
      throw new IllegalArgumentException(
          "not whole pages: vaddr=0x%x, size=0x%x".formatted(vaddr, size));
    }
    Map.Entry<Long, Area> before = areas.floorEntry(area.last());
    if (before != null && before.getValue().reaches(vaddr)) {
      throw new IllegalArgumentException("memory is placed at 0x%x".formatted(vaddr));
    }
    areas.put(vaddr, area);
  }

  /** Puts writable memory at an address of this method's choice and returns it. */
  public synchronized long place(MemorySegment memory) {
    long vaddr = nextFree;
    place(vaddr, memory, true);
    nextFree += memory.byteSize() + PAGE;
    return vaddr;
  }

  /** Takes away what was placed at exactly this address. Mappings of it stay. */
  public synchronized void remove(long vaddr) {
    areas.remove(vaddr);
  }

  /**
   * RLIMIT_MEMLOCK in bytes, unsigned, so that -1 is RLIM_INFINITY; the kernel counts whole pages.
   * Unlimited at first.
   */
  public synchronized void limit(long bytes) {
    limitPages = Long.divideUnsigned(bytes, PAGE);
  }

  /** Whether the process has CAP_IPC_LOCK, which lifts the limit. It has, at first. */
  public synchronized void ipcLock(boolean has) {
    ipcLock = has;
  }

  /** Whether the process has CAP_IPC_LOCK now. */
  public synchronized boolean ipcLock() {
    return ipcLock;
  }

  /** Locked pages now: VmLck, in pages. */
  public synchronized long lockedPages() {
    return lockedPages;
  }

  /** RLIMIT_MEMLOCK in pages. */
  public synchronized long limitPages() {
    return limitPages;
  }

  /**
   * Pins a range page by page and counts it as locked, as {@code vfio_pin_pages_remote()} does.
   *
   * @param counted pages of the range that are counted already
   * @param exempt whether the limit was lifted when the range was mapped
   * @return the memory, piece by piece in order
   * @throws VfioException EFAULT at the first page that is not there or not writable, ENOMEM if the
   *     limit comes before it; nothing is counted then
   */
  synchronized List<Piece> pin(long vaddr, long size, boolean write, long counted, boolean exempt) {
    if (window.isPresent()) {
      checkSegment(vaddr, size);
      return List.of(new Piece(window.get().at(vaddr, size), 0, size));
    }
    List<Piece> pieces = resolve(vaddr, size, write);
    long found = pieces.stream().mapToLong(Piece::size).sum();
    long wanted = Math.max(0, found / PAGE - counted);
    checkLimit(wanted, exempt);
    if (found != size) {
      throw new VfioException(
          Errno.EFAULT,
          Reason.BAD_ADDRESS,
          "no %s memory at 0x%x".formatted(write ? "writable" : "readable", vaddr + found));
    }
    lockedPages += wanted;
    return pieces;
  }

  /** No process has 2^63 bytes, and no segment can stand for as many. */
  private static void checkSegment(long vaddr, long size) {
    if (size < 0) {
      throw new VfioException(
          Errno.EFAULT,
          Reason.BAD_ADDRESS,
          "no process has 0x%x bytes at 0x%x".formatted(size, vaddr));
    }
  }

  private void checkLimit(long wanted, boolean exempt) {
    if (!exempt && wanted > 0 && lockedPages + wanted > limitPages) {
      throw new VfioException(
          Errno.ENOMEM,
          Reason.LOCKED_MEMORY,
          "locked memory: %d KiB are locked, %d KiB more are needed, the limit is %d KiB"
              .formatted(lockedPages * 4, wanted * 4, limitPages * 4));
    }
  }

  /**
   * Takes over the account of pages that another process had pinned.
   *
   * @throws VfioException ENOMEM if the limit comes before them; nothing is counted then
   */
  synchronized void lock(long pages, boolean exempt) {
    if (window.isEmpty()) {
      checkLimit(pages, exempt);
      lockedPages += pages;
    }
  }

  /** Gives pages back to the account. */
  synchronized void unlock(long pages) {
    if (window.isPresent()) {
      return;
    }
    if (pages > lockedPages) {
      throw new IllegalStateException(
          "unlocked more than is locked: pages=%d, locked=%d".formatted(pages, lockedPages));
    }
    lockedPages -= pages;
  }

  /** What of the range is there, from its start to its first hole; the size is unsigned. */
  synchronized List<Piece> resolve(long vaddr, long size, boolean write) {
    List<Piece> pieces = new ArrayList<>(1);
    long at = vaddr;
    long left = size;
    while (left != 0) {
      Map.Entry<Long, Area> entry = areas.floorEntry(at);
      if (entry == null || !entry.getValue().reaches(at) || (write && !entry.getValue().writable)) {
        break;
      }
      Area area = entry.getValue();
      long there = area.last() - at + 1;
      long count = Long.compareUnsigned(left, there) < 0 ? left : there;
      pieces.add(new Piece(area.memory(), at - area.start(), count));
      at += count;
      left -= count;
    }
    return pieces;
  }
}
