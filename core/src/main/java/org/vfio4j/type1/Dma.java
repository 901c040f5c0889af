// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.type1.AddressSpace.Piece;

/** One DMA mapping of a container ({@code struct vfio_dma}). The container's lock covers it. */
final class Dma {
  final long iova;
  final long size;
  final int prot;

  /** Whose memory it is, and who is charged for it: who mapped it, or gave it its address last. */
  AddressSpace mm;

  /** Whether that process had CAP_IPC_LOCK: sampled then, kept for every later pin. */
  boolean exempt;

  long vaddr;
  boolean vaddrInvalid;

  /** What is pinned for the IOMMU, piece by piece; empty while no domain maps it. */
  Optional<List<Piece>> pinned = Optional.empty();

  Optional<DirtyBitmap> dirty = Optional.empty();

  /** Pages that drivers of plain mediated devices pinned: IOVA to how often. */
  final TreeMap<Long, Integer> pins = new TreeMap<>();

  /** The same for each driver, by its group; none of its own before the first pin. */
  Map<IommuGroup, Map<Long, Integer>> pinsOf = Map.of();

  Dma(long iova, long size, long vaddr, int prot, AddressSpace mm, boolean exempt) {
    this.iova = iova;
    this.size = size;
    this.vaddr = vaddr;
    this.prot = prot;
    this.mm = mm;
    this.exempt = exempt;
  }

  boolean iommuMapped() {
    return pinned.isPresent();
  }

  /** Whether the driver of one of these groups has pages of it pinned. */
  boolean pinnedBy(Set<IommuGroup> groups) {
    for (Map.Entry<IommuGroup, Map<Long, Integer>> its : pinsOf.entrySet()) {
      if (!its.getValue().isEmpty() && groups.contains(its.getKey())) {
        return true;
      }
    }
    return false;
  }

  boolean writable() {
    return (prot & Mapping.WRITE) != 0;
  }

  long last() {
    return iova + size - 1;
  }

  /**
   * Pins the whole range for the IOMMU. Pages that a driver pinned before are counted already.
   *
   * @throws org.vfio4j.error.VfioException EFAULT or ENOMEM; nothing is pinned then
   */
  List<Piece> pin() {
    List<Piece> pieces = mm.pin(vaddr, size, writable(), pins.size(), exempt);
    pinned = Optional.of(pieces);
    return pieces;
  }

  /** Undoes {@link #pin}: pages that a driver pinned stay counted. */
  void unpin() {
    if (iommuMapped()) {
      pinned = Optional.empty();
      mm.unlock(pages() - pins.size());
    }
  }

  private long pages() {
    return Long.divideUnsigned(size, AddressSpace.PAGE);
  }

  /**
   * Moves the mapping to another process, with the account of what is locked for it ({@code
   * vfio_change_dma_owner}).
   *
   * @throws org.vfio4j.error.VfioException ENOMEM if that process may not lock as much; nothing has
   *     changed then
   */
  void chargeTo(AddressSpace owner) {
    if (owner != mm) {
      boolean lifted = owner.ipcLock();
      long locked = iommuMapped() ? pages() : pins.size();
      owner.lock(locked, lifted);
      mm.unlock(locked);
      mm = owner;
      exempt = lifted;
    }
  }

  /** Marks what drivers have pinned: the device may write there at any time. */
  void markPinned(long pageSize) {
    dirty.ifPresent(
        bits -> pins.keySet().forEach(page -> bits.set((int) ((page - iova) / pageSize))));
  }
}
