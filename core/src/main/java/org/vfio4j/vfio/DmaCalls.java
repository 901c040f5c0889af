// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.ArrayList;
import java.util.List;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** The container ioctls of type1: what is checked of their structs before the engine is asked. */
final class DmaCalls {
  private static final int INFO_MIN = 16;
  private static final int INFO_SIZE = 24;
  private static final int UNMAP_WITH_BITMAP = 48;
  private static final long MAX_BITMAP_BYTES = 1L << 28;

  private static final int DIRTY_START = 1;
  private static final int DIRTY_STOP = 2;

  private DmaCalls() {}

  static void map(KernelProfile profile, Container container, AddressSpace mm, Vfio.MapRequest r) {
    int known = Container.MAP_READ | Container.MAP_WRITE;
    if (profile.vaddrUpdate()) {
      known |= Container.MAP_VADDR;
    }
    EngineVfio.checkArgsz(r.argsz(), Vfio.MAP_ARGSZ);
    checkFlags(r.flags(), known);
    container.map(mm, r.vaddr(), r.iova(), r.size(), r.flags());
  }

  static long unmap(
      KernelProfile profile, Container container, AddressSpace mm, Vfio.UnmapRequest r) {
    int known = profile.dirtyTracking() ? Container.UNMAP_DIRTY : 0;
    if (profile.vaddrUpdate()) {
      known |= Container.UNMAP_ALL | Container.UNMAP_VADDR;
    }
    EngineVfio.checkArgsz(r.argsz(), Vfio.UNMAP_ARGSZ);
    checkFlags(r.flags(), known);
    if ((r.flags() & Container.UNMAP_DIRTY) == 0) {
      return container.unmap(mm, r.iova(), r.size(), r.flags(), new long[0], 0);
    }
    if (r.flags() != Container.UNMAP_DIRTY) {
      throw bad("flags 0x%x: the bitmap goes with no other".formatted(r.flags()));
    }
    EngineVfio.checkArgsz(r.argsz(), UNMAP_WITH_BITMAP);
    Vfio.Bitmap bitmap = r.bitmap().orElseThrow(() -> bad("no bitmap"));
    checkBitmap(r.size(), bitmap);
    return container.unmap(mm, r.iova(), r.size(), r.flags(), bitmap.words(), bitmap.pageSize());
  }

  static void dirtyPages(KernelProfile profile, Container container, int flags) {
    checkDirty(profile, container);
    switch (flags) {
      case DIRTY_START -> container.startDirtyTracking();
      case DIRTY_STOP -> container.stopDirtyTracking();
      default -> throw bad("flags 0x%x: one of START, STOP, GET_BITMAP".formatted(flags));
    }
  }

  static void dirtyBitmap(KernelProfile profile, Container container, Vfio.BitmapRequest r) {
    checkDirty(profile, container);
    checkWrap(profile, r.iova(), r.size());
    checkBitmap(r.size(), r.bitmap());
    container.dirtyBitmap(r.iova(), r.size(), r.bitmap().pageSize(), r.bitmap().words());
  }

  private static void checkDirty(KernelProfile profile, Container container) {
    if (!profile.dirtyTracking()) {
      throw new VfioException(
          Errno.ENOTTY, Reason.UNKNOWN_CALL, "this kernel does not track dirty pages");
    }
    container.type().checkTracksDirtyPages();
  }

  /** Comes before the bitmap is looked at, which only an errno of its own shows (7.x). */
  private static void checkWrap(KernelProfile profile, long iova, long size) {
    if (size != 0 && Long.compareUnsigned(iova + size - 1, iova) < 0) {
      throw new VfioException(
          profile.overflow(), Reason.BAD_ARGUMENT, "0x%x bytes at 0x%x wrap".formatted(size, iova));
    }
  }

  /** {@code verify_bitmap_size}. */
  private static void checkBitmap(long size, Vfio.Bitmap bitmap) {
    long pages =
        bitmap.pageSize() == 0 ? 0 : size >>> Long.numberOfTrailingZeros(bitmap.pageSize());
    long words = (pages >>> 6) + ((pages & 63) == 0 ? 0 : 1);
    long needed = words * Long.BYTES;
    if (pages == 0 || Long.compareUnsigned(bitmap.size(), needed) < 0) {
      throw bad(
          "bitmap too small: bytes=%s, needed=%s"
              .formatted(Long.toUnsignedString(bitmap.size()), Long.toUnsignedString(needed)));
    }
    if (Long.compareUnsigned(bitmap.size(), MAX_BITMAP_BYTES) > 0) {
      throw bad(
          "bitmap too large: bytes=%s, max=%d"
              .formatted(Long.toUnsignedString(bitmap.size()), MAX_BITMAP_BYTES));
    }
  }

  /** The info and its chain: migration, entries left, IOVA ranges. */
  static Vfio.IommuInfo info(KernelProfile profile, Container container, int argsz) {
    EngineVfio.checkArgsz(argsz, INFO_MIN);
    Container.Info info = container.info();
    long pageSize = Long.lowestOneBit(info.pageSizes());
    List<Vfio.Capability> chain = new ArrayList<>();
    int at = INFO_SIZE;
    if (profile.dirtyTracking()) {
      int available = at + 32;
      int ranges = available + (profile.alignedCapabilities() ? 16 : 12);
      boolean more = !info.ranges().isEmpty();
      chain.add(new Vfio.Capability.Migration(at, available, 0, pageSize, MAX_BITMAP_BYTES));
      chain.add(new Vfio.Capability.Available(available, more ? ranges : 0, info.entries()));
      at = ranges;
    }
    if (!info.ranges().isEmpty()) {
      List<IovaRange> ranges = info.ranges();
      chain.add(new Vfio.Capability.Ranges(at, 0, ranges));
      at += 16 + 16 * ranges.size();
    }
    int flags = chain.isEmpty() ? 1 : 3;
    boolean fits = chain.isEmpty() || Integer.compareUnsigned(argsz, at) >= 0;
    return new Vfio.IommuInfo(
        fits ? argsz : at,
        flags,
        info.pageSizes(),
        fits && !chain.isEmpty() ? INFO_SIZE : 0,
        fits ? chain : List.of());
  }

  private static void checkFlags(int flags, int known) {
    if ((flags & ~known) != 0) {
      throw bad("unknown flags: flags=0x%x, known=0x%x".formatted(flags, known));
    }
  }

  private static VfioException bad(String message) {
    return new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, message);
  }
}
