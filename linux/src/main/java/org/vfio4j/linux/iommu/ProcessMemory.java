// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.lang.foreign.MemorySegment;
import org.vfio4j.iommu.MapSource;
import org.vfio4j.type1.AddressSpace;

/** The memory of this process, which the kernel pins and counts for every mapping. */
public final class ProcessMemory {
  private ProcessMemory() {}

  /**
   * What {@link org.vfio4j.type1.Container#map} over a {@link LinuxIommu} takes: an address of it
   * is an address of this process. Nothing keeps the memory there while it is mapped; if it goes,
   * devices keep what was pinned, and nobody else gets those pages.
   */
  public static AddressSpace create() {
    return AddressSpace.pinnedByIommu(ProcessMemory::at);
  }

  @SuppressWarnings("restricted")
  private static MapSource at(long vaddr, long size) {
    return new MapSource.Memory(MemorySegment.ofAddress(vaddr).reinterpret(size));
  }
}
