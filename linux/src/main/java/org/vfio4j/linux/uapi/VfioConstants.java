// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

/** Numbers of {@code linux/vfio.h} other than the requests, by their names there. */
@SuppressWarnings("MemberName")
public final class VfioConstants {
  public static final int VFIO_API_VERSION = 0;
  public static final int VFIO_TYPE1_IOMMU = 1;
  public static final int VFIO_TYPE1v2_IOMMU = 3;
  public static final int VFIO_DMA_CC_IOMMU = 4;
  public static final int VFIO_UNMAP_ALL = 9;
  public static final int VFIO_UPDATE_VADDR = 10;

  public static final int VFIO_GROUP_FLAGS_VIABLE = 1;
  public static final int VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

  public static final int VFIO_DEVICE_FLAGS_RESET = 1;
  public static final int VFIO_DEVICE_FLAGS_PCI = 2;
  public static final int VFIO_DEVICE_FLAGS_CAPS = 1 << 7;

  public static final int VFIO_REGION_INFO_FLAG_READ = 1;
  public static final int VFIO_REGION_INFO_FLAG_WRITE = 2;
  public static final int VFIO_REGION_INFO_FLAG_MMAP = 4;
  public static final int VFIO_REGION_INFO_FLAG_CAPS = 8;
  public static final int VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1;
  public static final int VFIO_REGION_INFO_CAP_TYPE = 2;
  public static final int VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3;

  public static final int VFIO_PCI_BAR0_REGION_INDEX = 0;
  public static final int VFIO_PCI_BAR5_REGION_INDEX = 5;
  public static final int VFIO_PCI_ROM_REGION_INDEX = 6;
  public static final int VFIO_PCI_CONFIG_REGION_INDEX = 7;
  public static final int VFIO_PCI_VGA_REGION_INDEX = 8;
  public static final int VFIO_PCI_NUM_REGIONS = 9;

  public static final int VFIO_IRQ_INFO_EVENTFD = 1;
  public static final int VFIO_IRQ_INFO_MASKABLE = 2;
  public static final int VFIO_IRQ_INFO_AUTOMASKED = 4;
  public static final int VFIO_IRQ_INFO_NORESIZE = 8;

  public static final int VFIO_IRQ_SET_DATA_NONE = 1;
  public static final int VFIO_IRQ_SET_DATA_BOOL = 2;
  public static final int VFIO_IRQ_SET_DATA_EVENTFD = 4;
  public static final int VFIO_IRQ_SET_ACTION_MASK = 8;
  public static final int VFIO_IRQ_SET_ACTION_UNMASK = 16;
  public static final int VFIO_IRQ_SET_ACTION_TRIGGER = 32;

  public static final int VFIO_PCI_INTX_IRQ_INDEX = 0;
  public static final int VFIO_PCI_MSI_IRQ_INDEX = 1;
  public static final int VFIO_PCI_MSIX_IRQ_INDEX = 2;
  public static final int VFIO_PCI_ERR_IRQ_INDEX = 3;
  public static final int VFIO_PCI_REQ_IRQ_INDEX = 4;

  public static final int VFIO_IOMMU_INFO_PGSIZES = 1;
  public static final int VFIO_IOMMU_INFO_CAPS = 2;
  public static final int VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1;
  public static final int VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2;
  public static final int VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3;

  public static final int VFIO_DMA_MAP_FLAG_READ = 1;
  public static final int VFIO_DMA_MAP_FLAG_WRITE = 2;
  public static final int VFIO_DMA_MAP_FLAG_VADDR = 4;

  public static final int VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1;
  public static final int VFIO_DMA_UNMAP_FLAG_ALL = 2;
  public static final int VFIO_DMA_UNMAP_FLAG_VADDR = 4;

  public static final int VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1;
  public static final int VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 2;
  public static final int VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 4;

  public static final int VFIO_DEVICE_FEATURE_MASK = 0xffff;
  public static final int VFIO_DEVICE_FEATURE_GET = 1 << 16;
  public static final int VFIO_DEVICE_FEATURE_SET = 1 << 17;
  public static final int VFIO_DEVICE_FEATURE_PROBE = 1 << 18;
  public static final int VFIO_DEVICE_FEATURE_PCI_VF_TOKEN = 0;

  private VfioConstants() {}
}
