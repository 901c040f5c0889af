// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.Vfio;

/**
 * The calls of a container, {@code /dev/vfio/vfio}. Refusals are {@link
 * org.vfio4j.error.VfioException}s with the kernel's errno and change nothing. Mapping and
 * unmapping allocate nothing. Thread-safe: the kernel takes one lock a container, and so does this.
 */
public final class ContainerCalls extends VfioFile {
  private static final String PATH = "/dev/vfio/vfio";
  private static final int FIRST_INFO = 256;
  private static final int DIRTY_ARGSZ = 48;
  private static final int UNMAP_WITH_BITMAP = 48;

  private static final long ARGSZ = 0;
  private static final long FLAGS = 4;
  private static final long MAP_VADDR = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_MAP, "vaddr");
  private static final long MAP_IOVA = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_MAP, "iova");
  private static final long MAP_SIZE = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_MAP, "size");
  private static final long UNMAP_IOVA = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_UNMAP, "iova");
  private static final long UNMAP_SIZE = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_UNMAP, "size");
  private static final long UNMAP_DATA = Layouts.offset(Layouts.VFIO_IOMMU_TYPE1_DMA_UNMAP, "data");

  private final MemorySegment map;
  private final MemorySegment unmap;

  /** Takes a descriptor over. */
  public ContainerCalls(Descriptor descriptor) {
    super(descriptor);
    Arena arena = Arena.ofAuto();
    map = arena.allocate(Layouts.VFIO_IOMMU_TYPE1_DMA_MAP);
    unmap = arena.allocate(UNMAP_WITH_BITMAP, 8);
  }

  /**
   * Opens a new container.
   *
   * @throws org.vfio4j.posix.SystemCallException ENOENT without VFIO in the kernel, EACCES for a
   *     user who may not
   */
  public static ContainerCalls open(SystemCalls calls) {
    return new ContainerCalls(Descriptor.open(calls, PATH, Constants.O_RDWR));
  }

  /** VFIO_GET_API_VERSION; 0 is the only one there is. */
  public int apiVersion() {
    return ioctl("VFIO_GET_API_VERSION", Ioctls.VFIO_GET_API_VERSION, 0);
  }

  /** VFIO_CHECK_EXTENSION: whether the kernel has it, or this container once its type is set. */
  public boolean extension(int number) {
    return ioctl("VFIO_CHECK_EXTENSION", Ioctls.VFIO_CHECK_EXTENSION, number) > 0;
  }

  /**
   * VFIO_SET_IOMMU. EINVAL without a group or if one is set, ENODEV for a type nobody has, else
   * what the attach of the container's groups answers: EBUSY, EPERM, ENOMEM.
   *
   * @param type {@link VfioConstants#VFIO_TYPE1v2_IOMMU}
   */
  public void setIommu(int type) {
    ioctl("VFIO_SET_IOMMU", Ioctls.VFIO_SET_IOMMU, type);
  }

  /** VFIO_IOMMU_GET_INFO with all of its capability chain. EINVAL while no type is set. */
  public Vfio.IommuInfo info() {
    int size = FIRST_INFO;
    while (true) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment memory = arena.allocate(size, 8);
        memory.set(ValueLayout.JAVA_INT, ARGSZ, size);
        ioctl("VFIO_IOMMU_GET_INFO", Ioctls.VFIO_IOMMU_GET_INFO, memory);
        int needed = memory.get(ValueLayout.JAVA_INT, ARGSZ);
        if (needed <= size) {
          return InfoChain.iommuInfo(memory);
        }
        size = needed;
      }
    }
  }

  /**
   * VFIO_IOMMU_MAP_DMA. The pages are pinned: they count against RLIMIT_MEMLOCK until unmapped.
   *
   * @param vaddr address in this process, a multiple of the page size
   * @param iova address for devices, a multiple of the page size
   * @param size bytes, a multiple of the page size
   * @param flags {@code VFIO_DMA_MAP_FLAG_}
   * @throws org.vfio4j.error.VfioException EINVAL (alignment, reserved or out of the aperture),
   *     EEXIST (overlap), ENOSPC (dma_entry_limit), ENOMEM (RLIMIT_MEMLOCK), EFAULT (bad address)
   */
  public synchronized void map(long vaddr, long iova, long size, int flags) {
    map.set(ValueLayout.JAVA_INT, ARGSZ, Vfio.MAP_ARGSZ);
    map.set(ValueLayout.JAVA_INT, FLAGS, flags);
    map.set(ValueLayout.JAVA_LONG, MAP_VADDR, vaddr);
    map.set(ValueLayout.JAVA_LONG, MAP_IOVA, iova);
    map.set(ValueLayout.JAVA_LONG, MAP_SIZE, size);
    try {
      ioctl("VFIO_IOMMU_MAP_DMA", Ioctls.VFIO_IOMMU_MAP_DMA, map);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * VFIO_IOMMU_UNMAP_DMA: removes every mapping inside the range. Nothing there is no error.
   *
   * @param flags {@code VFIO_DMA_UNMAP_FLAG_ALL} or {@code _VADDR}
   * @return bytes unmapped
   * @throws org.vfio4j.error.VfioException EINVAL (alignment, or the range would cut a mapping)
   */
  public synchronized long unmap(long iova, long size, int flags) {
    return unmap(iova, size, flags, Vfio.UNMAP_ARGSZ);
  }

  private long unmap(long iova, long size, int flags, int argsz) {
    unmap.set(ValueLayout.JAVA_INT, ARGSZ, argsz);
    unmap.set(ValueLayout.JAVA_INT, FLAGS, flags);
    unmap.set(ValueLayout.JAVA_LONG, UNMAP_IOVA, iova);
    unmap.set(ValueLayout.JAVA_LONG, UNMAP_SIZE, size);
    try {
      ioctl("VFIO_IOMMU_UNMAP_DMA", Ioctls.VFIO_IOMMU_UNMAP_DMA, unmap);
      return unmap.get(ValueLayout.JAVA_LONG, UNMAP_SIZE);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * The same, and which pages devices may have written.
   *
   * @param bitmap one bit a page; its words are overwritten
   * @return bytes unmapped
   */
  public synchronized long unmap(long iova, long size, Vfio.Bitmap bitmap) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bits = DirtyBits.allocate(arena, bitmap);
      Struct tail = new Struct(Layouts.VFIO_BITMAP, unmap.asSlice(UNMAP_DATA));
      DirtyBits.describe(tail, bitmap, bits);
      long unmapped =
          unmap(iova, size, VfioConstants.VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, UNMAP_WITH_BITMAP);
      DirtyBits.copy(bits, bitmap);
      return unmapped;
    }
  }

  /** VFIO_IOMMU_DIRTY_PAGES with START or STOP. EACCES for type 1, ENOTTY before 5.8. */
  public void dirtyTracking(boolean on) {
    int flags =
        on
            ? VfioConstants.VFIO_IOMMU_DIRTY_PAGES_FLAG_START
            : VfioConstants.VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP);
      s.u32("argsz", s.size()).u32("flags", flags);
      ioctl("VFIO_IOMMU_DIRTY_PAGES", Ioctls.VFIO_IOMMU_DIRTY_PAGES, s.memory());
    }
  }

  /**
   * VFIO_IOMMU_DIRTY_PAGES with GET_BITMAP: reads and clears. EINVAL while tracking is off or if
   * the range cuts a mapping.
   */
  public void dirtyBitmap(Vfio.BitmapRequest request) {
    try (Arena arena = Arena.ofConfined()) {
      Struct s =
          Struct.of(
              arena,
              Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP,
              Layouts.VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET.byteSize());
      s.u32("argsz", DIRTY_ARGSZ)
          .u32("flags", VfioConstants.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
      MemorySegment bits = DirtyBits.allocate(arena, request.bitmap());
      DirtyBits.describe(s, request, bits);
      ioctl("VFIO_IOMMU_DIRTY_PAGES", Ioctls.VFIO_IOMMU_DIRTY_PAGES, s.memory());
      DirtyBits.copy(bits, request.bitmap());
    }
  }
}
