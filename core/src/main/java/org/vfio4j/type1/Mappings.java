// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.MapSource;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;
import org.vfio4j.iommu.Translation;
import org.vfio4j.type1.AddressSpace.Piece;
import org.vfio4j.unwind.Attempt;

/**
 * The mappings of a container, in its own list and in every domain it has. The container's lock
 * covers all of it; a call that is refused leaves everything as it was. How many there are and what
 * the domains can do is told without the lock.
 */
final class Mappings {
  private static final long PAGE_MASK = -AddressSpace.PAGE;

  private final Attachments attachments;
  private final DmaTree tree = new DmaTree();

  /** Where the devices of plain mediated devices translate: built only while there is one. */
  private final Translation emulated = new Translation();

  private Optional<PageTable> emulatedTable = Optional.empty();
  private final long limit;
  private volatile int count;
  private volatile long bytes;
  private volatile long pageSizes = -1L & PAGE_MASK;
  private volatile boolean coherent = true;
  private int invalidVaddrs;

  Mappings(Attachments attachments, int entryLimit) {
    this.attachments = attachments;
    this.limit = Integer.toUnsignedLong(entryLimit);
  }

  DmaTree tree() {
    return tree;
  }

  Translation emulated() {
    return emulated;
  }

  /** How many can still be added. */
  long available() {
    return limit - count;
  }

  /** How many there are. */
  int count() {
    return count;
  }

  /** How many bytes they are together, unsigned. */
  long bytes() {
    return bytes;
  }

  /** Whether the DMA of all domains snoops the caches: true over none, as for the kernel. */
  boolean coherent() {
    return coherent;
  }

  boolean anyVaddrInvalid() {
    return invalidVaddrs > 0;
  }

  long pageSizes() {
    return pageSizes;
  }

  /** The smallest page a mapping may have, in bytes. */
  long pageSize() {
    return Long.lowestOneBit(pageSizes);
  }

  /**
   * What the domains can do together: page sizes that all have, never below the host's page ({@code
   * vfio_update_pgsize_bitmap}), and coherency.
   */
  void askDomains() {
    long sizes = -1L;
    boolean snoop = true;
    for (Domain domain : attachments.domains()) {
      sizes &= domain.hardware.pageSizes();
      snoop &= domain.hardware.coherent();
    }
    coherent = snoop;
    pageSizes = (sizes & ~PAGE_MASK) != 0 ? sizes & PAGE_MASK | AddressSpace.PAGE : sizes;
  }

  /**
   * Adds a mapping: recorded only, while no domain is there; pinned and mapped otherwise.
   *
   * @throws VfioException what pinning or a domain answers; the mapping is not added then
   */
  void add(Dma dma) {
    if (!attachments.domains().isEmpty()) {
      pinAndMap(dma);
    }
    tree.add(dma);
    count(1, dma.size);
    emulatedTable.ifPresent(table -> emulate(table, dma));
  }

  /** The container's lock is held, so that nothing is lost between reading and writing. */
  @SuppressWarnings("NonAtomicVolatileUpdate")
  private void count(int more, long size) {
    count += more;
    bytes += size;
  }

  private void pinAndMap(Dma dma) {
    try (Attempt attempt = new Attempt()) {
      List<Piece> pieces = dma.pin();
      attempt.undo(dma::unpin);
      for (Domain domain : attachments.domains()) {
        mapInto(attempt, domain.hardware, dma, pieces);
      }
      attempt.keep();
    }
  }

  private static void mapInto(Attempt attempt, IommuDomain domain, Dma dma, List<Piece> pieces) {
    long at = dma.iova;
    for (Piece piece : pieces) {
      domain.map(at, piece.source(), dma.prot);
      long start = at;
      attempt.undo(() -> drop(domain, start, piece.size()));
      at += piece.size();
    }
  }

  /**
   * Unmaps where nobody is left to be told of a refusal: on the way back from a failure, or from a
   * domain that goes with all that it has. The domain has reported the refusal itself.
   */
  private static void drop(IommuDomain domain, long iova, long size) {
    try {
      domain.unmap(iova, size);
    } catch (VfioException _) {
      // Ends with the domain.
    }
  }

  /**
   * Removes a mapping, and gives its pages back.
   *
   * @throws VfioException if a domain refuses to unmap it. It stays a mapping then, with its pages
   *     locked: devices may still reach them, and nothing else can be mapped there.
   */
  void remove(Dma dma) {
    if (dma.iommuMapped()) {
      attachments.domains().forEach(d -> d.hardware.unmap(dma.iova, dma.size));
    }
    forget(dma);
  }

  private void forget(Dma dma) {
    tree.remove(dma);
    count(-1, -dma.size);
    if (dma.vaddrInvalid) {
      invalidVaddrs--;
    }
    emulatedTable.ifPresent(table -> table.unmap(dma.iova, dma.size));
    dma.unpin();
    dropPins(dma);
  }

  private void dropFromDomains(Dma dma) {
    if (dma.iommuMapped()) {
      attachments.domains().forEach(d -> drop(d.hardware, dma.iova, dma.size));
    }
  }

  /** Pins that outlive their mapping are given back with it: nobody could unpin them any more. */
  private static void dropPins(Dma dma) {
    dma.mm.unlock(dma.pins.size());
    dma.pins.clear();
    dma.pinsOf = Map.of();
  }

  /** {@code vfio_iommu_unmap_unpin_all}: what a domain will not unmap goes with the domain. */
  void removeAll() {
    for (Dma dma : new ArrayList<>(tree.all())) {
      dropFromDomains(dma);
      forget(dma);
    }
  }

  /**
   * {@code vfio_iommu_unmap_unpin_reaccount}: the last domain is going, plain mediated devices stay
   * and so do the entries; only what their drivers pinned remains locked.
   */
  void withdrawFromIommu() {
    for (Dma dma : tree.all()) {
      dropFromDomains(dma);
      dma.unpin();
    }
  }

  /**
   * {@code vfio_iommu_replay}: gives a new domain all mappings, pinning those that no domain had.
   *
   * @throws VfioException EFAULT, ENOMEM or what the domain answers; undone then
   */
  void replayOnto(IommuDomain domain) {
    try (Attempt attempt = new Attempt()) {
      for (Dma dma : tree.all()) {
        if (!dma.iommuMapped()) {
          dma.pin();
          attempt.undo(dma::unpin);
        }
        mapInto(attempt, domain, dma, dma.pinned.orElseThrow());
      }
      attempt.keep();
    }
  }

  /** {@code vfio_iommu_populate_bitmap_full}: who left may have written anywhere. */
  void allDirty() {
    tree.all().forEach(dma -> dma.dirty.ifPresent(DirtyBitmap::setAll));
  }

  /** Starts translating for plain mediated devices. */
  void startEmulating() {
    PageTable table = new PageTable(Long.SIZE, AddressSpace.PAGE);
    tree.all().forEach(dma -> emulate(table, dma));
    emulatedTable = Optional.of(table);
    emulated.set(table);
  }

  /** Stops translating for plain mediated devices. */
  void stopEmulating() {
    emulated.block();
    emulatedTable = Optional.empty();
  }

  /** What of the mapping's memory is there; the rest faults when a device asks for it. */
  private static void emulate(PageTable table, Dma dma) {
    long at = dma.iova;
    Collection<Piece> pieces =
        dma.pinned.orElseGet(() -> dma.mm.resolve(dma.vaddr, dma.size, dma.writable()));
    for (Piece piece : pieces) {
      if (piece.of() instanceof MapSource.Memory(MemorySegment memory)) {
        table.map(new Mapping(at, piece.size(), memory, piece.start(), dma.prot));
      }
      at += piece.size();
    }
  }

  /** Marks the mapping's address as about to change; what is pinned stays pinned. */
  void invalidateVaddr(Dma dma) {
    dma.vaddrInvalid = true;
    invalidVaddrs++;
  }

  void validateVaddr(Dma dma) {
    dma.vaddrInvalid = false;
    invalidVaddrs--;
  }

  /**
   * Gives a mapping whose address was invalidated its new one.
   *
   * @param owner whose memory it is from now on, and who is charged for it
   * @throws VfioException ENOENT, EINVAL, or ENOMEM if the owner may not lock as much
   */
  void updateVaddr(Optional<Dma> found, long iova, long size, long vaddr, AddressSpace owner) {
    Dma dma =
        found.orElseThrow(
            () ->
                new VfioException(
                    Errno.ENOENT,
                    Reason.NO_MAPPING,
                    "no mapping at IOVA 0x%x whose address could change".formatted(iova)));
    if (!dma.vaddrInvalid || dma.iova != iova || dma.size != size) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.BAD_ARGUMENT,
          "the mapping at IOVA 0x%x was not invalidated, or is not this one".formatted(iova));
    }
    dma.chargeTo(owner);
    dma.vaddr = vaddr;
    validateVaddr(dma);
  }
}
