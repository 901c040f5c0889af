// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.IovaRange;

/**
 * The VFIO user API as one process sees it: descriptors, argsz, flags, errno. Each method is one
 * system call; a refused one throws {@link org.vfio4j.error.VfioException} with the kernel's errno
 * and changes nothing. Scripts, scenarios and fuzzers speak only to this interface, so that they
 * run on every back end.
 */
public interface Vfio {
  /** Bytes of {@code struct vfio_iommu_type1_dma_map}, the argsz MAP_DMA wants. */
  int MAP_ARGSZ = 32;

  /** Bytes of {@code struct vfio_iommu_type1_dma_unmap} without a bitmap. */
  int UNMAP_ARGSZ = 24;

  /** Opens {@code /dev/vfio/vfio}. */
  int container();

  /**
   * Opens the VFIO group of a device: a PCI address or an mdev's UUID. ENOENT if there is none,
   * EBUSY if somebody has it open.
   */
  int group(String device);

  /** Opens a file. ENOENT if there is none. */
  int open(String path);

  /** Closes a descriptor. EBADF if it is not open. */
  void close(int fd);

  /** GET_API_VERSION. */
  int apiVersion(int fd);

  /** CHECK_EXTENSION; unknown ones are 0, never an error. */
  int checkExtension(int fd, int extension);

  /**
   * SET_IOMMU. EINVAL without a group or if one is set; ENODEV for a type nobody has; else what the
   * attach of the container's groups answers.
   */
  void setIommu(int fd, int type);

  /** GROUP_GET_STATUS: 1 viable, 2 container set. EINVAL if argsz is below 8. */
  int groupStatus(int fd, int argsz);

  /** GROUP_SET_CONTAINER. */
  void setContainer(int groupFd, int containerFd);

  /** GROUP_UNSET_CONTAINER. EINVAL without one, EBUSY while device descriptors are open. */
  void unsetContainer(int groupFd);

  /** GROUP_GET_DEVICE_FD; an empty name is a null pointer. */
  int deviceFd(int groupFd, Optional<String> name);

  /** IOMMU_MAP_DMA. */
  void map(int containerFd, MapRequest request);

  /** IOMMU_UNMAP_DMA; returns the bytes unmapped. */
  long unmap(int containerFd, UnmapRequest request);

  /** IOMMU_GET_INFO. */
  IommuInfo info(int containerFd, int argsz);

  /** IOMMU_DIRTY_PAGES with START (1) or STOP (2) or what else the flags say. */
  void dirtyPages(int containerFd, int flags);

  /** IOMMU_DIRTY_PAGES with GET_BITMAP. */
  void dirtyBitmap(int containerFd, BitmapRequest request);

  /** Any ioctl with an integer argument. */
  int ioctl(int fd, int number, long argument);

  /** DEVICE_GET_INFO. */
  DeviceInfo deviceInfo(int deviceFd);

  /** DEVICE_RESET. EINVAL if the device has no way to be reset. */
  void reset(int deviceFd);

  /**
   * DEVICE_GET_PCI_HOT_RESET_INFO. ENODEV where neither slot nor bus can be reset, EPERM where a
   * function on it is in no IOMMU group.
   */
  List<Dependent> hotResetInfo(int deviceFd);

  /** The first four bytes of config space, vendor in the low half. */
  int readConfig(int deviceFd);

  /**
   * {@code struct vfio_iommu_type1_dma_map}.
   *
   * @param vaddr address in this process, in bytes
   * @param iova address for devices, in bytes
   * @param size bytes
   * @param flags 1 read, 2 write, 4 update the address
   * @param argsz bytes of the struct as the caller has it
   */
  record MapRequest(long vaddr, long iova, long size, int flags, int argsz) {
    /** Readable and writable. */
    public static MapRequest of(long vaddr, long iova, long size) {
      return new MapRequest(vaddr, iova, size, 3, MAP_ARGSZ);
    }
  }

  /**
   * {@code struct vfio_iommu_type1_dma_unmap}.
   *
   * @param iova first address, in bytes
   * @param size bytes
   * @param flags 1 get dirty bitmap, 2 all, 4 invalidate the address
   * @param argsz bytes of the struct as the caller has it
   * @param bitmap with flag 1: where dirty bits go, and in pages of how many bytes
   */
  record UnmapRequest(long iova, long size, int flags, int argsz, Optional<Bitmap> bitmap) {
    /** Without flags. */
    public static UnmapRequest of(long iova, long size) {
      return new UnmapRequest(iova, size, 0, UNMAP_ARGSZ, Optional.empty());
    }
  }

  /**
   * {@code struct vfio_bitmap}.
   *
   * @param pageSize bytes for each bit
   * @param size bytes of the bitmap
   * @param words where the bits go
   */
  @SuppressWarnings("ArrayRecordComponent")
  record Bitmap(long pageSize, long size, long[] words) {}

  /**
   * {@code struct vfio_iommu_type1_dirty_bitmap_get}.
   *
   * @param iova first address, in bytes
   * @param size bytes of IOVA space
   * @param bitmap where the bits go
   */
  record BitmapRequest(long iova, long size, Bitmap bitmap) {}

  /**
   * {@code struct vfio_iommu_type1_info} with its capability chain.
   *
   * @param argsz what the kernel wrote: the size it needs, if the caller's was too small
   * @param flags 1 page sizes, 2 capabilities
   * @param pageSizes one bit each, in bytes
   * @param capOffset offset of the first capability; 0 if they did not fit
   * @param capabilities in chain order
   */
  record IommuInfo(
      int argsz, int flags, long pageSizes, int capOffset, List<Capability> capabilities) {}

  /** A link of the capability chain; all are version 1. */
  sealed interface Capability {
    /** Offset from the start of the info. */
    int offset();

    /** Offset of the next, or 0. */
    int next();

    /** VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION: dirty tracking's page sizes and largest bitmap. */
    record Migration(int offset, int next, int flags, long pageSizes, long maxBitmap)
        implements Capability {}

    /** VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL: mappings left. */
    record Available(int offset, int next, long entries) implements Capability {}

    /** VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE: what can be mapped. */
    record Ranges(int offset, int next, List<IovaRange> ranges) implements Capability {}
  }

  /**
   * {@code struct vfio_device_info}.
   *
   * @param flags 1 can be reset, 2 PCI
   * @param regions how many
   * @param irqs how many
   */
  record DeviceInfo(int flags, int regions, int irqs) {}

  /**
   * A device that a hot reset would reset too.
   *
   * @param group its IOMMU group
   * @param address its PCI address
   */
  record Dependent(int group, String address) {}
}
