// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.linux.uapi.Layouts;
import org.vfio4j.linux.uapi.Struct;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.vfio.Vfio;

/**
 * The structs of VFIO's calls as a {@link FakeKernel} finds them in the caller's memory, taken
 * apart for {@link Vfio} and put together from what it answers. Results below zero are {@code
 * -errno}.
 */
final class FakeIoctls {
  private static final int ENOSPC = 28;
  private static final int HEADER = 8;
  private static final int DIRTY_GET = 48;
  private static final int INFO = 24;
  private static final int MIN_INFO = 16;
  private static final int BITMAP_AT = 24;

  /** No bitmap of the API is larger: 2^31 - 1 pages. */
  private static final long MOST_BITMAP = 1L << 28;

  private final Vfio vfio;

  /** Asks {@code vfio}. */
  FakeIoctls(Vfio vfio) {
    this.vfio = vfio;
  }

  @SuppressWarnings("restricted")
  static MemorySegment at(long address, long size) {
    return MemorySegment.ofAddress(address).reinterpret(size);
  }

  /** The first field of all these structs: how many bytes of it the caller has. */
  private static int argsz(long argument) {
    return at(argument, Integer.BYTES).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
  }

  int groupStatus(int fd, long argument) {
    int flags = vfio.groupStatus(fd, argsz(argument));
    new Struct(Layouts.VFIO_GROUP_STATUS, at(argument, HEADER)).u32("flags", flags);
    return 0;
  }

  int map(int fd, long argument) {
    Struct s =
        new Struct(
            Layouts.VFIO_IOMMU_TYPE1_DMA_MAP,
            at(argument, Layouts.VFIO_IOMMU_TYPE1_DMA_MAP.byteSize()));
    vfio.map(
        fd,
        new Vfio.MapRequest(
            s.u64("vaddr"), s.u64("iova"), s.u64("size"), s.u32("flags"), s.u32("argsz")));
    return 0;
  }

  int unmap(int fd, long argument) {
    Struct s = new Struct(Layouts.VFIO_IOMMU_TYPE1_DMA_UNMAP, at(argument, BITMAP_AT));
    int argsz = s.u32("argsz");
    int flags = s.u32("flags");
    boolean dirty = (flags & VfioConstants.VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) != 0;
    long struct = Layouts.VFIO_BITMAP.byteSize();
    Optional<UserBitmap> bitmap =
        dirty && Integer.compareUnsigned(argsz, BITMAP_AT + (int) struct) >= 0
            ? Optional.of(UserBitmap.of(at(argument + BITMAP_AT, struct), s.u64("size")))
            : Optional.empty();
    long unmapped =
        vfio.unmap(
            fd,
            new Vfio.UnmapRequest(
                s.u64("iova"), s.u64("size"), flags, argsz, bitmap.map(UserBitmap::bitmap)));
    bitmap.ifPresent(UserBitmap::copyOut);
    s.u64("size", unmapped);
    return 0;
  }

  int dirtyPages(int fd, long argument) {
    Struct s = new Struct(Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP, at(argument, HEADER));
    int argsz = s.u32("argsz");
    int flags = s.u32("flags");
    if (flags != VfioConstants.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
      vfio.dirtyPages(fd, flags);
      return 0;
    }
    if (Integer.compareUnsigned(argsz, DIRTY_GET) < 0) {
      return -ErrnoNames.EINVAL;
    }
    long size = Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET.byteSize();
    Struct get = new Struct(Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET, at(argument + HEADER, size));
    UserBitmap bitmap = UserBitmap.of(get.memory().asSlice(16), get.u64("size"));
    vfio.dirtyBitmap(fd, new Vfio.BitmapRequest(get.u64("iova"), get.u64("size"), bitmap.bitmap()));
    bitmap.copyOut();
    return 0;
  }

  /**
   * A bitmap in the caller's memory.
   *
   * @param data where it is
   * @param bitmap a copy of it
   */
  private record UserBitmap(long data, Vfio.Bitmap bitmap) {
    /** With as many words as the kernel writes for a range of so many bytes. */
    static UserBitmap of(MemorySegment memory, long range) {
      Struct s = new Struct(Layouts.VFIO_BITMAP, memory);
      long size = s.u64("size");
      long pageSize = s.u64("pgsize");
      long pages = pageSize == 0 ? 0 : Long.divideUnsigned(range, pageSize);
      long words = Math.min((pages + Long.SIZE - 1) >>> 6, Math.clamp(size, 0, MOST_BITMAP) / 8);
      return new UserBitmap(
          s.u64("data"), new Vfio.Bitmap(pageSize, size, new long[Math.toIntExact(words)]));
    }

    void copyOut() {
      long bytes = (long) bitmap.words().length * Long.BYTES;
      MemorySegment.copy(MemorySegment.ofArray(bitmap.words()), 0, at(data, bytes), 0, bytes);
    }
  }

  int info(int fd, long argument) {
    int argsz = argsz(argument);
    Vfio.IommuInfo info = vfio.info(fd, argsz);
    int room = Math.clamp(Integer.toUnsignedLong(argsz), MIN_INFO, Integer.MAX_VALUE);
    Struct s = new Struct(Layouts.VFIO_IOMMU_TYPE1_INFO, at(argument, room));
    s.u32("argsz", info.argsz()).u32("flags", info.flags()).u64("iova_pgsizes", info.pageSizes());
    if (room >= INFO) {
      s.u32("cap_offset", info.capOffset());
    }
    info.capabilities().forEach(capability -> put(s, capability));
    return 0;
  }

  private static void put(Struct info, Vfio.Capability capability) {
    switch (capability) {
      case Vfio.Capability.Migration(int at, int next, int flags, long sizes, long most) -> {
        header(info, at, VfioConstants.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, next);
        info.at(at, Layouts.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION)
            .u32("flags", flags)
            .u64("pgsize_bitmap", sizes)
            .u64("max_dirty_bitmap_size", most);
      }
      case Vfio.Capability.Available(int at, int next, long entries) -> {
        header(info, at, VfioConstants.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, next);
        info.at(at, Layouts.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL).u32("avail", (int) entries);
      }
      case Vfio.Capability.Ranges(int at, int next, List<IovaRange> ranges) -> {
        header(info, at, VfioConstants.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, next);
        Struct s = info.at(at, Layouts.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
        s.u32("nr_iovas", ranges.size());
        long first = s.layout().byteSize();
        for (int i = 0; i < ranges.size(); i++) {
          s.at(first + i * Layouts.VFIO_IOVA_RANGE.byteSize(), Layouts.VFIO_IOVA_RANGE)
              .u64("start", ranges.get(i).start())
              .u64("end", ranges.get(i).last());
        }
      }
    }
  }

  private static void header(Struct info, int at, int id, int next) {
    Struct header = info.at(at, Layouts.VFIO_INFO_CAP_HEADER);
    header.memory().set(ValueLayout.JAVA_SHORT_UNALIGNED, 0, (short) id);
    header.memory().set(ValueLayout.JAVA_SHORT_UNALIGNED, 2, (short) 1);
    header.u32("next", next);
  }

  int deviceInfo(int fd, long argument) {
    if (Integer.compareUnsigned(argsz(argument), MIN_INFO) < 0) {
      return -ErrnoNames.EINVAL;
    }
    Vfio.DeviceInfo info = vfio.deviceInfo(fd);
    new Struct(Layouts.VFIO_DEVICE_INFO, at(argument, MIN_INFO))
        .u32("flags", info.flags())
        .u32("num_regions", info.regions())
        .u32("num_irqs", info.irqs());
    return 0;
  }

  int hotResetInfo(int fd, long argument) {
    int argsz = argsz(argument);
    long first = Layouts.VFIO_PCI_HOT_RESET_INFO.byteSize();
    if (Integer.compareUnsigned(argsz, (int) first) < 0) {
      return -ErrnoNames.EINVAL;
    }
    List<Vfio.Dependent> all = vfio.hotResetInfo(fd);
    Struct s = new Struct(Layouts.VFIO_PCI_HOT_RESET_INFO, at(argument, argsz));
    s.u32("flags", 0).u32("count", all.size());
    long each = Layouts.VFIO_PCI_DEPENDENT_DEVICE.byteSize();
    if (argsz < first + all.size() * each) {
      return -ENOSPC;
    }
    for (int i = 0; i < all.size(); i++) {
      Struct device = s.at(first + i * each, Layouts.VFIO_PCI_DEPENDENT_DEVICE);
      String[] parts = all.get(i).address().split("[:.]");
      int function = Integer.parseInt(parts[2], 16) << 3 | Integer.parseInt(parts[3], 16);
      device.u32("group_id", all.get(i).group());
      MemorySegment memory = device.memory();
      memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, 4, (short) Integer.parseInt(parts[0], 16));
      memory.set(ValueLayout.JAVA_BYTE, 6, (byte) Integer.parseInt(parts[1], 16));
      memory.set(ValueLayout.JAVA_BYTE, 7, (byte) function);
    }
    return 0;
  }

  /** VFIO_DEVICE_PCI_HOT_RESET: {@code groups} are those whose files the caller shows. */
  int hotReset(int fd, List<Integer> groups) {
    boolean all = vfio.hotResetInfo(fd).stream().allMatch(d -> groups.contains(d.group()));
    return all ? 0 : -ErrnoNames.EINVAL;
  }
}
