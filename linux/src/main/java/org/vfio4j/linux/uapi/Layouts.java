// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.StructLayout;

/**
 * The structs of {@code linux/vfio.h}, each under its name there, with C's fields, sizes and
 * offsets. An array that C leaves without length has length zero here: it begins where the struct
 * ends.
 */
public final class Layouts {
  public static final StructLayout VFIO_INFO_CAP_HEADER =
      struct(
          "vfio_info_cap_header",
          JAVA_SHORT.withName("id"),
          JAVA_SHORT.withName("version"),
          u32("next"));

  public static final StructLayout VFIO_GROUP_STATUS =
      struct("vfio_group_status", u32("argsz"), u32("flags"));

  /** 20 bytes in headers before 6.6; the kernel takes both. */
  public static final StructLayout VFIO_DEVICE_INFO =
      struct(
          "vfio_device_info",
          u32("argsz"),
          u32("flags"),
          u32("num_regions"),
          u32("num_irqs"),
          u32("cap_offset"),
          MemoryLayout.paddingLayout(4));

  public static final StructLayout VFIO_REGION_INFO =
      struct(
          "vfio_region_info",
          u32("argsz"),
          u32("flags"),
          u32("index"),
          u32("cap_offset"),
          u64("size"),
          u64("offset"));

  public static final StructLayout VFIO_REGION_SPARSE_MMAP_AREA =
      struct("vfio_region_sparse_mmap_area", u64("offset"), u64("size"));

  public static final StructLayout VFIO_REGION_INFO_CAP_SPARSE_MMAP =
      struct(
          "vfio_region_info_cap_sparse_mmap",
          VFIO_INFO_CAP_HEADER.withName("header"),
          u32("nr_areas"),
          u32("reserved"),
          MemoryLayout.sequenceLayout(0, VFIO_REGION_SPARSE_MMAP_AREA).withName("areas"));

  public static final StructLayout VFIO_REGION_INFO_CAP_TYPE =
      struct(
          "vfio_region_info_cap_type",
          VFIO_INFO_CAP_HEADER.withName("header"),
          u32("type"),
          u32("subtype"));

  public static final StructLayout VFIO_IRQ_INFO =
      struct("vfio_irq_info", u32("argsz"), u32("flags"), u32("index"), u32("count"));

  public static final StructLayout VFIO_IRQ_SET =
      struct(
          "vfio_irq_set",
          u32("argsz"),
          u32("flags"),
          u32("index"),
          u32("start"),
          u32("count"),
          MemoryLayout.sequenceLayout(0, JAVA_BYTE).withName("data"));

  /** {@code group_id} is {@code devid} on devices that came through iommufd. */
  public static final StructLayout VFIO_PCI_DEPENDENT_DEVICE =
      struct(
          "vfio_pci_dependent_device",
          u32("group_id"),
          JAVA_SHORT.withName("segment"),
          JAVA_BYTE.withName("bus"),
          JAVA_BYTE.withName("devfn"));

  public static final StructLayout VFIO_PCI_HOT_RESET_INFO =
      struct(
          "vfio_pci_hot_reset_info",
          u32("argsz"),
          u32("flags"),
          u32("count"),
          MemoryLayout.sequenceLayout(0, VFIO_PCI_DEPENDENT_DEVICE).withName("devices"));

  public static final StructLayout VFIO_PCI_HOT_RESET =
      struct(
          "vfio_pci_hot_reset",
          u32("argsz"),
          u32("flags"),
          u32("count"),
          MemoryLayout.sequenceLayout(0, JAVA_INT).withName("group_fds"));

  public static final StructLayout VFIO_DEVICE_FEATURE =
      struct(
          "vfio_device_feature",
          u32("argsz"),
          u32("flags"),
          MemoryLayout.sequenceLayout(0, JAVA_BYTE).withName("data"));

  public static final StructLayout VFIO_IOMMU_TYPE1_INFO =
      struct(
          "vfio_iommu_type1_info",
          u32("argsz"),
          u32("flags"),
          u64("iova_pgsizes"),
          u32("cap_offset"),
          MemoryLayout.paddingLayout(4));

  public static final StructLayout VFIO_IOVA_RANGE =
      struct("vfio_iova_range", u64("start"), u64("end"));

  public static final StructLayout VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE =
      struct(
          "vfio_iommu_type1_info_cap_iova_range",
          VFIO_INFO_CAP_HEADER.withName("header"),
          u32("nr_iovas"),
          u32("reserved"),
          MemoryLayout.sequenceLayout(0, VFIO_IOVA_RANGE).withName("iova_ranges"));

  public static final StructLayout VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION =
      struct(
          "vfio_iommu_type1_info_cap_migration",
          VFIO_INFO_CAP_HEADER.withName("header"),
          u32("flags"),
          MemoryLayout.paddingLayout(4),
          u64("pgsize_bitmap"),
          u64("max_dirty_bitmap_size"));

  public static final StructLayout VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL =
      struct(
          "vfio_iommu_type1_info_dma_avail", VFIO_INFO_CAP_HEADER.withName("header"), u32("avail"));

  public static final StructLayout VFIO_IOMMU_TYPE1_DMA_MAP =
      struct(
          "vfio_iommu_type1_dma_map",
          u32("argsz"),
          u32("flags"),
          u64("vaddr"),
          u64("iova"),
          u64("size"));

  public static final StructLayout VFIO_BITMAP =
      struct("vfio_bitmap", u64("pgsize"), u64("size"), u64("data"));

  public static final StructLayout VFIO_IOMMU_TYPE1_DMA_UNMAP =
      struct(
          "vfio_iommu_type1_dma_unmap",
          u32("argsz"),
          u32("flags"),
          u64("iova"),
          u64("size"),
          MemoryLayout.sequenceLayout(0, JAVA_BYTE).withName("data"));

  public static final StructLayout VFIO_IOMMU_TYPE1_DIRTY_BITMAP =
      struct(
          "vfio_iommu_type1_dirty_bitmap",
          u32("argsz"),
          u32("flags"),
          MemoryLayout.sequenceLayout(0, JAVA_BYTE).withName("data"));

  public static final StructLayout VFIO_IOMMU_TYPE1_DIRTY_BITMAP_GET =
      struct(
          "vfio_iommu_type1_dirty_bitmap_get",
          u64("iova"),
          u64("size"),
          VFIO_BITMAP.withName("bitmap"));

  private Layouts() {}

  private static StructLayout struct(String name, MemoryLayout... members) {
    return MemoryLayout.structLayout(members).withName(name);
  }

  private static MemoryLayout u32(String name) {
    return JAVA_INT.withName(name);
  }

  private static MemoryLayout u64(String name) {
    return JAVA_LONG.withName(name);
  }

  /** Where a field begins, in bytes. */
  public static long offset(StructLayout struct, String field) {
    return struct.byteOffset(MemoryLayout.PathElement.groupElement(field));
  }
}
