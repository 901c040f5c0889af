// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;

/**
 * For Lincheck: maps and unmaps under a lock, lookups without one. The pages lie in two leaves, the
 * second of which makes the tree grow.
 */
@Param(name = "page", gen = IntGen.class, conf = "0:3")
@Param(name = "memory", gen = IntGen.class, conf = "1:3")
public class PageTableModel {
  private static final long PAGE = 4096;
  private static final MemorySegment MEMORY = Arena.global().allocate(4 * PAGE);

  private final PageTable table = new PageTable(48, PAGE);
  private final Object lock = new Object();

  /** Pages 0 and 1 are at 0, pages 2 and 3 at 1 GiB. */
  private static long iova(int page) {
    return (page & 1) * PAGE + (page >> 1) * (1L << 30);
  }

  @Operation
  public boolean map(@Param(name = "page") int page, @Param(name = "memory") int memory) {
    synchronized (lock) {
      try {
        table.map(new Mapping(iova(page), PAGE, MEMORY.asSlice(memory, PAGE), Mapping.READ));
        return true;
      } catch (IllegalStateException overlap) {
        return false;
      }
    }
  }

  @Operation
  public long unmap(@Param(name = "page") int page) {
    synchronized (lock) {
      return table.unmap(iova(page), PAGE);
    }
  }

  /** Which memory the page is; 0 if none. */
  @Operation
  public long find(@Param(name = "page") int page) {
    Mapping found = table.find(iova(page) + 7);
    return found == Mapping.NONE
        ? 0
        : found.memory().address() + found.offset(found.iova()) - MEMORY.address();
  }
}
