// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.PageTable;

/**
 * What is mapped and which addresses are asked for: the same as in {@code radix.c}, from the same
 * generator with the same seed.
 */
final class Keys {

  /** How many addresses a measured loop goes through. */
  static final int COUNT = 1 << 18;

  /** Bytes of each access. */
  static final int LENGTH = 64;

  private long state = 42;

  /** A table in which mapping i is page 2 * i, so that there is a gap after each. */
  static PageTable table(long page, long mappings, MemorySegment memory) {
    PageTable table = new PageTable(48, 0x40201000L);
    for (long i = 0; i < mappings; i++) {
      table.map(new Mapping(2 * i * page, page, memory, Mapping.READ | Mapping.WRITE));
    }
    return table;
  }

  /** One page of memory, which all mappings share: none of it is accessed. */
  static MemorySegment memory(long page) {
    return Arena.ofAuto().allocate(page);
  }

  /** Addresses inside the mappings. */
  static long[] lookups(long page, long mappings, boolean random) {
    Keys keys = new Keys();
    long[] iovas = new long[COUNT];
    for (int i = 0; i < COUNT; i++) {
      long mapping = random ? (keys.next() >>> 1) % mappings : i % mappings;
      long offset = (keys.next() >>> 1) % (page - LENGTH) & ~7L;
      iovas[i] = 2 * mapping * page + offset;
    }
    return iovas;
  }

  /** Pages between the mappings; the one page after none. */
  static long[] gaps(long page, long live) {
    Keys keys = new Keys();
    long[] iovas = new long[COUNT];
    for (int i = 0; i < COUNT; i++) {
      iovas[i] = (2 * ((keys.next() >>> 1) % Math.max(1, live)) + 1) * page;
    }
    return iovas;
  }

  /** The next number of splitmix64. */
  private long next() {
    long z = state += 0x9e3779b97f4a7c15L;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
