// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.type1.AddressSpace.Piece;

/** One DMA mapping of a container ({@code struct vfio_dma}). The container's lock covers it. */
final class Dma {
  final long iova;
  final long size;
  final int prot;
  final AddressSpace mm;

  /** Whether the mapper had CAP_IPC_LOCK: sampled when it mapped, kept for every later pin. */
  final boolean exempt;

  long vaddr;
  boolean vaddrInvalid;

  /** What is pinned for the IOMMU, piece by piece; empty while no domain maps it. */
  Optional<List<Piece>> pinned = Optional.empty();

  Optional<DirtyBitmap> dirty = Optional.empty();

  /** Pages that drivers of plain mediated devices pinned: IOVA to how often. */
  final TreeMap<Long, Integer> pins = new TreeMap<>();

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
      mm.unlock(size / AddressSpace.PAGE - pins.size());
    }
  }

  /** Marks what drivers have pinned: the device may write there at any time. */
  void markPinned(long pageSize) {
    dirty.ifPresent(
        bits -> pins.keySet().forEach(page -> bits.set((int) ((page - iova) / pageSize))));
  }
}
