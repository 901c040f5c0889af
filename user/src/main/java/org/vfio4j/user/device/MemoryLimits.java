// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * What the memory of one client may take of the process that serves it. What would go beyond is
 * refused with ENOMEM. Each limit is the client's own: clients take nothing from each other.
 *
 * @param addressSpace bytes of address space that the client's files are mapped into. A process has
 *     128 TiB on x86-64 with four levels of page tables, for all that it does.
 * @param mappings calls of {@code mmap(2)} that are in effect at a time. Linux allows a process
 *     65,530 by default ({@code vm.max_map_count}), for all that it does. A file that fits into the
 *     address space that is left takes one, however many DMA mappings are of it; a larger one takes
 *     one for each range of it that is in use, in whole GiB.
 */
public record MemoryLimits(long addressSpace, int mappings) {
  /** 1 TiB in at most 1,024 mappings. */
  public static final MemoryLimits DEFAULT = new MemoryLimits(1L << 40, 1024);

  /** Checks that both are above zero. */
  public MemoryLimits {
    if (addressSpace <= 0 || mappings <= 0) {
      throw new IllegalArgumentException(
          "limits above 0: addressSpace=%d, mappings=%d".formatted(addressSpace, mappings));
    }
  }
}
