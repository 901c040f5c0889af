// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.unwind.Attempt;

/**
 * What MAP_DMA, UNMAP_DMA and GET_BITMAP accept, check by check in the kernel's order. The
 * container's lock covers it.
 */
final class DmaRules {
  private final KernelProfile profile;
  private final Type1 type;
  private final Attachments attachments;
  private final Mappings mappings;
  private final DirtyTracking dirty;
  private final IovaRoom room;

  DmaRules(
      KernelProfile profile,
      Type1 type,
      Attachments attachments,
      Mappings mappings,
      DirtyTracking dirty,
      IovaRoom room) {
    this.profile = profile;
    this.type = type;
    this.attachments = attachments;
    this.mappings = mappings;
    this.dirty = dirty;
    this.room = room;
  }

  /** {@code vfio_dma_do_map}. */
  void map(AddressSpace mm, long vaddr, long iova, long size, int flags) {
    int prot = flags & (Container.MAP_READ | Container.MAP_WRITE);
    boolean update = (flags & Container.MAP_VADDR) != 0;
    if (profile.sizeBeforeOverflow()) {
      checkSize(size);
      checkWrap(iova, size);
      checkWrap(vaddr, size);
    }
    if (update == (prot != 0)) {
      throw bad("flags 0x%x: either READ and WRITE, or VADDR".formatted(flags));
    }
    checkAligned(size, size | iova | vaddr);
    checkWrap(iova, size);
    checkWrap(vaddr, size);
    long last = iova + size - 1;
    Optional<Dma> there = mappings.tree().firstIn(iova, last);
    if (update) {
      AddressSpace owner = profile.vaddrMovesOwner() ? mm : there.map(d -> d.mm).orElse(mm);
      mappings.updateVaddr(there, iova, size, vaddr, owner);
      return;
    }
    there.ifPresent(DmaRules::refuseOverlap);
    if (mappings.available() == 0) {
      throw new VfioException(
          Errno.ENOSPC, Reason.ENTRY_LIMIT, "the container has used up dma_entry_limit");
    }
    if (!room.ranges().allows(iova, last)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.IOVA_NOT_AVAILABLE,
          "IOVA 0x%x to 0x%x is not inside one of %s".formatted(iova, last, room.ranges()));
    }
    Dma dma = new Dma(iova, size, vaddr, prot, mm, mm.ipcLock());
    mappings.add(dma);
    if (dirty.on()) {
      trackAdded(dma);
    }
  }

  /** What cannot be pinned has been refused for that before its bitmap is asked for. */
  private void trackAdded(Dma dma) {
    try (Attempt attempt = new Attempt()) {
      attempt.undo(() -> mappings.remove(dma));
      dirty.checkPages(dma);
      dirty.track(dma);
      attempt.keep();
    }
  }

  private static void refuseOverlap(Dma dma) {
    throw new VfioException(
        Errno.EEXIST,
        Reason.MAPPING_EXISTS,
        "0x%x to 0x%x is mapped already".formatted(dma.iova, dma.last()));
  }

  /** What an unmap has to do: {@code vfio_dma_do_unmap} up to its loop. */
  List<Dma> toUnmap(
      AddressSpace mm, long iova, long size, int flags, long[] bitmap, long bitmapPageSize) {
    boolean all = (flags & Container.UNMAP_ALL) != 0;
    if ((flags & Container.UNMAP_VADDR) != 0 && !attachments.external().isEmpty()) {
      throw new VfioException(
          Errno.EBUSY, Reason.DEVICE_BUSY, "a mediated device is attached: addresses cannot move");
    }
    checkAligned(1, iova);
    if (all && (iova | size) != 0) {
      throw bad("UNMAP_ALL takes neither an IOVA nor a size");
    }
    if (!all) {
      checkAligned(size, size);
      checkWrap(iova, size);
    }
    if ((flags & Container.UNMAP_DIRTY) != 0) {
      checkDirtyUnmap(flags, size, bitmap, bitmapPageSize);
    }
    return all ? new ArrayList<>(mappings.tree().all()) : inRange(mm, iova, iova + size - 1);
  }

  private void checkDirtyUnmap(int flags, long size, long[] bitmap, long pageSize) {
    if (flags != Container.UNMAP_DIRTY) {
      throw bad("flags 0x%x: the bitmap goes with no other".formatted(flags));
    }
    if (!dirty.on() || pageSize != mappings.pageSize()) {
      throw bad("dirty pages are not tracked, or not in pages of %d bytes".formatted(pageSize));
    }
    checkRoom(size, bitmap);
  }

  /** Whether a bitmap has a bit for each page of a range. */
  private void checkRoom(long size, long[] bitmap) {
    long pages = Long.divideUnsigned(size, mappings.pageSize());
    long words = Long.divideUnsigned(pages + Long.SIZE - 1, Long.SIZE);
    if (Long.compareUnsigned(bitmap.length, words) < 0) {
      throw bad("bitmap too small: words=%d, needed=%d".formatted(bitmap.length, words));
    }
  }

  private List<Dma> inRange(AddressSpace mm, long iova, long last) {
    boolean exact = type != Type1.V1;
    if (exact && mappings.tree().bisects(iova, last)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.MAPPING_BISECTED,
          "0x%x to 0x%x cuts a mapping in two".formatted(iova, last));
    }
    List<Dma> found = new ArrayList<>();
    if (last == -1L && profile.topUnmapIsEmpty()) {
      return found;
    }
    Optional<Dma> next = mappings.tree().firstIn(iova, last);
    while (next.isPresent()) {
      Dma dma = next.get();
      boolean startsBefore = Long.compareUnsigned(dma.iova, iova) < 0;
      boolean foreign = profile.foreignUnmapStops() && dma.mm != mm;
      if ((!exact && startsBefore) || foreign) {
        break;
      }
      found.add(dma);
      next =
          Long.compareUnsigned(dma.last(), last) >= 0
              ? Optional.empty()
              : mappings.tree().firstIn(dma.last() + 1, last);
    }
    return found;
  }

  /** GET_BITMAP's arguments, before anything is read. */
  void checkBitmap(long iova, long size, long pageSize, long[] bitmap) {
    type.checkTracksDirtyPages();
    if (profile.sizeBeforeOverflow()) {
      checkSize(size);
      checkWrap(iova, size);
    } else if (Long.compareUnsigned(iova + size, iova) < 0) {
      throw bad("0x%x bytes at 0x%x wrap".formatted(size, iova));
    }
    if (pageSize != mappings.pageSize()) {
      throw bad("pages of %d bytes: only %d".formatted(pageSize, mappings.pageSize()));
    }
    checkAligned(size, size | iova);
    if (!dirty.on()) {
      throw bad("dirty pages are not tracked");
    }
    checkRoom(size, bitmap);
  }

  private static void checkSize(long size) {
    if (size == 0) {
      throw bad("size 0");
    }
  }

  private void checkAligned(long size, long bits) {
    checkSize(size);
    if ((bits & (mappings.pageSize() - 1)) != 0) {
      throw bad("not a multiple of the page size, 0x%x".formatted(mappings.pageSize()));
    }
  }

  private void checkWrap(long start, long size) {
    if (Long.compareUnsigned(start + size - 1, start) < 0) {
      throw new VfioException(
          profile.overflow(),
          Reason.BAD_ARGUMENT,
          "0x%x bytes at 0x%x wrap".formatted(size, start));
    }
  }

  private static VfioException bad(String message) {
    return new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, message);
  }
}
