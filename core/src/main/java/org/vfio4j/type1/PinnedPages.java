// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.unwind.Attempt;

/**
 * Pages that drivers of mediated devices pin ({@code vfio_pin_pages}): counted per mapping and
 * IOVA, and locked only while no IOMMU has locked them already. The container's lock covers it.
 */
final class PinnedPages {
  /** {@code VFIO_PIN_PAGES_MAX_ENTRIES}. */
  private static final int MAX_PAGES = 512;

  private final Mappings mappings;
  private final DirtyTracking dirty;

  PinnedPages(Mappings mappings, DirtyTracking dirty) {
    this.mappings = mappings;
    this.dirty = dirty;
  }

  /**
   * Refuses more pages than one call may pin.
   *
   * @throws VfioException E2BIG
   */
  void checkCount(List<Long> pages) {
    if (pages.size() > MAX_PAGES) {
      throw new VfioException(
          Errno.E2BIG,
          Reason.PIN_REFUSED,
          "too many pages: count=%d, max=%d".formatted(pages.size(), MAX_PAGES));
    }
  }

  /**
   * Whether an attached group's driver may pin at all.
   *
   * @param heard whether a driver would be told of an unmap
   * @throws VfioException EINVAL, EACCES or EBUSY
   */
  void check(IommuGroup group, Type1 type, boolean heard) {
    if (group.devices().size() != 1) {
      throw new VfioException(
          Errno.EINVAL, Reason.PIN_REFUSED, group + " has more than one device");
    }
    if (type == Type1.V1) {
      throw new VfioException(Errno.EACCES, Reason.PIN_REFUSED, "a v1 container pins nothing");
    }
    if (mappings.anyVaddrInvalid()) {
      throw new VfioException(
          Errno.EBUSY, Reason.VADDR_INVALID, "addresses of mappings are being updated");
    }
    if (!heard) {
      throw new VfioException(
          Errno.EINVAL, Reason.PIN_REFUSED, "no driver listens for unmaps: it could not unpin");
    }
  }

  /** Pins each page once more; all of them or none. */
  void pin(IommuGroup group, List<Long> pages, int prot) {
    try (Attempt attempt = new Attempt()) {
      for (long page : pages) {
        pin(group, page, prot);
        attempt.undo(() -> unpin(group, page));
      }
      attempt.keep();
    }
  }

  private void pin(IommuGroup group, long page, int prot) {
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
    if (dma.pinsOf.isEmpty()) {
      dma.pinsOf = new IdentityHashMap<>();
    }
    dma.pinsOf.computeIfAbsent(group, g -> new HashMap<>()).merge(page, 1, Integer::sum);
    dirty.pinned(dma, page);
  }

  /** Unpins each page once; returns how many of them lie in a mapping. */
  int unpin(IommuGroup group, List<Long> pages) {
    int done = 0;
    for (long page : pages) {
      if (mappings.tree().at(page).isEmpty()) {
        break;
      }
      unpin(group, page);
      done++;
    }
    return done;
  }

  /** Unpins all pages that a group's driver has pinned in a range, as often as it did. */
  void unpinAll(IommuGroup group, long iova, long size) {
    for (Dma dma : mappings.tree().all()) {
      Map<Long, Integer> its = dma.pinsOf.getOrDefault(group, Map.of());
      its.entrySet().stream()
          .filter(e -> Long.compareUnsigned(e.getKey() - iova, size) < 0)
          .forEach(e -> unpin(dma, e.getKey(), e.getValue()));
      its.keySet().removeIf(page -> Long.compareUnsigned(page - iova, size) < 0);
    }
  }

  /** As in the kernel, a driver may unpin what another has pinned: one count is kept for all. */
  private void unpin(IommuGroup group, long page) {
    Dma dma = mapped(page);
    Map<Long, Integer> its = dma.pinsOf.getOrDefault(group, Map.of());
    if (its.containsKey(page)) {
      its.computeIfPresent(page, (p, count) -> count == 1 ? null : count - 1);
    }
    unpin(dma, page, 1);
  }

  private static void unpin(Dma dma, long page, int times) {
    Integer count = dma.pins.get(page);
    if (count == null) {
      return;
    }
    if (count > times) {
      dma.pins.put(page, count - times);
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
