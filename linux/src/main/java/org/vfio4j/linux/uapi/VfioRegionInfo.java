// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.util.ArrayList;
import java.util.List;

/**
 * {@code struct vfio_region_info} with its capability chain.
 *
 * @param index which; {@code VFIO_PCI_CONFIG_REGION_INDEX} and so on
 * @param flags {@code VFIO_REGION_INFO_FLAG_}
 * @param size bytes; 0 if the device has it not
 * @param offset where it begins in the device's descriptor, for pread, pwrite and mmap
 * @param capabilities in chain order
 */
public record VfioRegionInfo(
    int index, int flags, long size, long offset, List<Capability> capabilities) {
  /** Copies the list. */
  public VfioRegionInfo {
    capabilities = List.copyOf(capabilities);
  }

  /** What the kernel says beyond the fixed fields. */
  public sealed interface Capability {
    /** VFIO_REGION_INFO_CAP_SPARSE_MMAP: only these parts can be mapped. */
    record SparseMmap(List<Area> areas) implements Capability {
      /** Copies the list. */
      public SparseMmap {
        areas = List.copyOf(areas);
      }
    }

    /** VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: the page of the MSI-X table may be mapped too. */
    record MsixMappable() implements Capability {}

    /** VFIO_REGION_INFO_CAP_TYPE: what a region beyond the fixed ones is. */
    record Type(int type, int subtype) implements Capability {}

    /** One that this version does not know. */
    record Unknown(int id, int version) implements Capability {}
  }

  /**
   * A part of a region.
   *
   * @param offset bytes into the region
   * @param size bytes
   */
  public record Area(long offset, long size) {}

  /** Whether {@code pread} works. */
  public boolean readable() {
    return (flags & VfioConstants.VFIO_REGION_INFO_FLAG_READ) != 0;
  }

  /** Whether {@code pwrite} works. */
  public boolean writable() {
    return (flags & VfioConstants.VFIO_REGION_INFO_FLAG_WRITE) != 0;
  }

  /** The parts that mmap can reach: all of it, those of the sparse capability, or none. */
  public List<Area> mappable() {
    if ((flags & VfioConstants.VFIO_REGION_INFO_FLAG_MMAP) == 0 || size == 0) {
      return List.of();
    }
    for (Capability capability : capabilities) {
      if (capability instanceof Capability.SparseMmap(List<Area> areas)) {
        return areas;
      }
    }
    return List.of(new Area(0, size));
  }

  static VfioRegionInfo of(Struct s) {
    boolean chained = (s.u32("flags") & VfioConstants.VFIO_REGION_INFO_FLAG_CAPS) != 0;
    List<Capability> capabilities = new ArrayList<>();
    for (InfoChain.Link link : InfoChain.links(s.memory(), chained ? s.u32("cap_offset") : 0)) {
      capabilities.add(
          switch (link.id()) {
            case VfioConstants.VFIO_REGION_INFO_CAP_SPARSE_MMAP -> sparse(link);
            case VfioConstants.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE -> new Capability.MsixMappable();
            case VfioConstants.VFIO_REGION_INFO_CAP_TYPE -> {
              Struct type = link.as(Layouts.VFIO_REGION_INFO_CAP_TYPE);
              yield new Capability.Type(type.u32("type"), type.u32("subtype"));
            }
            default -> new Capability.Unknown(link.id(), link.version());
          });
    }
    return new VfioRegionInfo(
        s.u32("index"), s.u32("flags"), s.u64("size"), s.u64("offset"), capabilities);
  }

  private static Capability sparse(InfoChain.Link link) {
    Struct s = link.as(Layouts.VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    List<Area> areas = new ArrayList<>();
    for (int i = 0; i < s.u32("nr_areas"); i++) {
      long at = s.layout().byteSize() + i * Layouts.VFIO_REGION_SPARSE_MMAP_AREA.byteSize();
      Struct area = s.at(at, Layouts.VFIO_REGION_SPARSE_MMAP_AREA);
      areas.add(new Area(area.u64("offset"), area.u64("size")));
    }
    return new Capability.SparseMmap(areas);
  }
}
