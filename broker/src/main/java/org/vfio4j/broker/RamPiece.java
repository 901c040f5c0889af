// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.HashSet;
import java.util.Set;

/**
 * A range of a VM's addresses with memory of a file, and who has announced it. The lock of {@link
 * VmMemory} covers it.
 */
final class RamPiece {
  /** How far the devices have it. */
  enum State {
    /** Not yet. */
    NOTED,

    /** A call is under way that makes it reachable. */
    PINNING,

    /** They reach it. */
    PINNED,

    /** A call is under way that takes it from them. */
    LEAVING
  }

  final long iova;
  final long size;
  final int prot;
  final RamFile file;
  final long offset;
  final Set<VmMemory.Share> holders = new HashSet<>();
  State state = State.NOTED;

  RamPiece(long iova, long size, int prot, RamFile file, long offset) {
    this.iova = iova;
    this.size = size;
    this.prot = prot;
    this.file = file;
    this.offset = offset;
  }

  /** Whether that is this range, with the same memory, to be reached in the same way. */
  boolean equal(long atIova, long bytes, int access, RamFile.Key key, long at) {
    return iova == atIova
        && size == bytes
        && prot == access
        && offset == at
        && file.key.sameFile(key);
  }

  /** Its last address. */
  long last() {
    return iova + size - 1;
  }
}
