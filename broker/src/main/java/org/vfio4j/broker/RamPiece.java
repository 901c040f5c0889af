// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * A range of a VM's addresses with memory of a file, and who has announced it. The lock of {@link
 * VmMemory} covers it.
 */
final class RamPiece {
  final long iova;
  final long size;
  final int prot;
  final RamFile file;
  final long offset;
  final int place;
  final Set<VmMemory.Share> holders = new HashSet<>();
  Journal.Reach reach = Journal.Reach.NOTED;

  /**
   * A range that nobody has announced yet.
   *
   * @param place its place in the journal
   */
  RamPiece(RamFile.Range range, RamFile file, int place) {
    this.iova = range.iova();
    this.size = range.size();
    this.prot = range.prot();
    this.offset = range.offset();
    this.file = file;
    this.place = place;
  }

  /** Whether that is this range, with the same memory, to be reached in the same way. */
  boolean equal(RamFile.Range range, RamFile.Key key) {
    return range.equals(new RamFile.Range(iova, size, prot, offset)) && file.key.sameFile(key);
  }

  /** What the journal says of it. */
  Journal.Range range() {
    RamFile.Key key = file.key;
    return new Journal.Range(
        iova,
        size,
        prot,
        Optional.of(new Journal.OfFile(key.device(), key.inode(), key.writable(), offset)),
        reach,
        holders.stream().map(s -> s.index).sorted().toList());
  }

  /** Its last address. */
  long last() {
    return iova + size - 1;
  }
}
