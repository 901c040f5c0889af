// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.unwind.Attempt;

/**
 * Pages that drivers of mediated devices pin ({@code vfio_pin_pages}): counted per mapping and
 * IOVA, and locked only while no IOMMU has locked them already. The container's lock covers it.
 */
final class PinnedPages {
  /** {@code VFIO_PIN_PAGES_MAX_ENTRIES}. */
  static final int MAX_PAGES = 512;

  private final Mappings mappings;
  private final DirtyTracking dirty;

  PinnedPages(Mappings mappings, DirtyTracking dirty) {
    this.mappings = mappings;
    this.dirty = dirty;
  }

  /** Pins each page once more; all of them or none. */
  void pin(List<Long> pages, int prot) {
    try (Attempt attempt = new Attempt()) {
      for (long page : pages) {
        pin(page, prot);
        attempt.undo(() -> unpin(page));
      }
      attempt.keep();
    }
  }

  private void pin(long page, int prot) {
    Dma dma = mapped(page);
    if ((dma.prot & prot) != prot) {
      throw new VfioException(
          Errno.EPERM,
          Reason.PIN_REFUSED,
          "the mapping at IOVA 0x%x does not allow that access".formatted(page));
    }
    if (!dma.pins.containsKey(page)) {
      long counted = dma.iommuMapped() ? 1 : 0;
      boolean write = (prot & Mapping.WRITE) != 0;
      long vaddr = dma.vaddr + (page - dma.iova);
      dma.mm.pin(vaddr, AddressSpace.PAGE, write, counted, dma.exempt);
    }
    dma.pins.merge(page, 1, Integer::sum);
    dirty.pinned(dma, page);
  }

  /** Unpins each page once; returns how many of them lie in a mapping. */
  int unpin(List<Long> pages) {
    int done = 0;
    for (long page : pages) {
      if (mappings.tree().at(page).isEmpty()) {
        break;
      }
      unpin(page);
      done++;
    }
    return done;
  }

  /** Unpins all pages of the mappings in a range, whatever their count. */
  void unpinAll(long iova, long size) {
    for (Dma dma : mappings.tree().all()) {
      if (Long.compareUnsigned(dma.iova, iova) >= 0
          && Long.compareUnsigned(dma.last(), iova + size - 1) <= 0) {
        if (!dma.iommuMapped()) {
          dma.mm.unlock(dma.pins.size());
        }
        dma.pins.clear();
      }
    }
  }

  private void unpin(long page) {
    Dma dma = mapped(page);
    Integer count = dma.pins.get(page);
    if (count == null) {
      return;
    }
    if (count > 1) {
      dma.pins.put(page, count - 1);
      return;
    }
    dma.pins.remove(page);
    if (!dma.iommuMapped()) {
      dma.mm.unlock(1);
    }
  }

  private Dma mapped(long page) {
    return mappings
        .tree()
        .at(page)
        .orElseThrow(
            () ->
                new VfioException(
                    Errno.EINVAL,
                    Reason.NO_MAPPING,
                    "nothing is mapped at IOVA 0x%x".formatted(page)));
  }
}
