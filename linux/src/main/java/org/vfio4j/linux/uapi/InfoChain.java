// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.vfio.Vfio;

/** Capability chains: links of {@code struct vfio_info_cap_header}, by offsets from the start. */
public final class InfoChain {
  /** A chain that is longer goes in circles: the kernel has a handful. */
  private static final int MOST_LINKS = 64;

  private InfoChain() {}

  /**
   * A link as it lies in memory.
   *
   * @param offset from the start of the info, in bytes
   * @param next offset of the next, or 0
   * @param memory the whole info
   */
  record Link(int id, int version, int offset, int next, MemorySegment memory) {
    Struct as(java.lang.foreign.StructLayout layout) {
      return new Struct(layout, memory.asSlice(offset));
    }
  }

  /** The links, in chain order; one that does not lie inside the info ends the chain. */
  static List<Link> links(MemorySegment info, int capOffset) {
    List<Link> links = new ArrayList<>();
    int at = capOffset;
    while (at > 0
        && at + Layouts.VFIO_INFO_CAP_HEADER.byteSize() <= info.byteSize()
        && links.size() < MOST_LINKS) {
      Struct header = new Struct(Layouts.VFIO_INFO_CAP_HEADER, info.asSlice(at));
      Link link = new Link(header.u16("id"), header.u16("version"), at, header.u32("next"), info);
      links.add(link);
      at = link.next();
    }
    return links;
  }

  /**
   * {@code struct vfio_iommu_type1_info} as the kernel left it.
   *
   * @param memory the struct and the chain behind it
   */
  public static Vfio.IommuInfo iommuInfo(MemorySegment memory) {
    Struct info = new Struct(Layouts.VFIO_IOMMU_TYPE1_INFO, memory);
    boolean chained = (info.u32("flags") & VfioConstants.VFIO_IOMMU_INFO_CAPS) != 0;
    int capOffset = chained ? info.u32("cap_offset") : 0;
    List<Vfio.Capability> capabilities = new ArrayList<>();
    for (Link link : links(memory, capOffset)) {
      switch (link.id()) {
        case VfioConstants.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE -> capabilities.add(ranges(link));
        case VfioConstants.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION -> {
          Struct s = link.as(Layouts.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
          capabilities.add(
              new Vfio.Capability.Migration(
                  link.offset(),
                  link.next(),
                  s.u32("flags"),
                  s.u64("pgsize_bitmap"),
                  s.u64("max_dirty_bitmap_size")));
        }
        case VfioConstants.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL -> {
          Struct s = link.as(Layouts.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
          capabilities.add(
              new Vfio.Capability.Available(
                  link.offset(), link.next(), Integer.toUnsignedLong(s.u32("avail"))));
        }
        default -> {}
      }
    }
    return new Vfio.IommuInfo(
        info.u32("argsz"), info.u32("flags"), info.u64("iova_pgsizes"), capOffset, capabilities);
  }

  private static Vfio.Capability.Ranges ranges(Link link) {
    Struct s = link.as(Layouts.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
    List<IovaRange> ranges = new ArrayList<>();
    for (int i = 0; i < s.u32("nr_iovas"); i++) {
      long at = s.layout().byteSize() + i * Layouts.VFIO_IOVA_RANGE.byteSize();
      Struct range = s.at(at, Layouts.VFIO_IOVA_RANGE);
      ranges.add(new IovaRange(range.u64("start"), range.u64("end")));
    }
    return new Vfio.Capability.Ranges(link.offset(), link.next(), ranges);
  }
}
