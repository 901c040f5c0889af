// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vfio4j.iommu.IovaRange;

/** The mappings of a container by IOVA ({@code iommu->dma_list}); they never overlap. */
final class DmaTree {
  /** Keys have their top bit flipped, so that their signed order is the unsigned order of IOVAs. */
  private final TreeMap<Long, Dma> byIova = new TreeMap<>();

  void add(Dma dma) {
    byIova.put(key(dma.iova), dma);
  }

  void remove(Dma dma) {
    byIova.remove(key(dma.iova));
  }

  /** The lowest mapping that shares an address with the inclusive range. */
  Optional<Dma> firstIn(long first, long last) {
    Dma before = holding(first);
    if (before != null) {
      return Optional.of(before);
    }
    Map.Entry<Long, Dma> after = byIova.higherEntry(key(first));
    return after != null && Long.compareUnsigned(after.getValue().iova, last) <= 0
        ? Optional.of(after.getValue())
        : Optional.empty();
  }

  /** The mapping that holds the address. */
  Optional<Dma> at(long iova) {
    return Optional.ofNullable(holding(iova));
  }

  private @Nullable Dma holding(long iova) {
    Map.Entry<Long, Dma> before = byIova.floorEntry(key(iova));
    return before != null && Long.compareUnsigned(before.getValue().last(), iova) >= 0
        ? before.getValue()
        : null;
  }

  /** Whether the inclusive range would cut a mapping in two at one of its ends. */
  boolean bisects(long first, long last) {
    Dma atFirst = holding(first);
    if (atFirst != null && atFirst.iova != first) {
      return true;
    }
    Dma atLast = holding(last);
    return atLast != null && atLast.last() != last;
  }

  /** Whether the range holds all mappings: they are sorted, so the first and the last tell. */
  boolean within(IovaRange range) {
    return byIova.isEmpty()
        || range.contains(
            byIova.firstEntry().getValue().iova, byIova.lastEntry().getValue().last());
  }

  Collection<Dma> all() {
    return byIova.values();
  }

  private static long key(long iova) {
    return iova ^ Long.MIN_VALUE;
  }
}
