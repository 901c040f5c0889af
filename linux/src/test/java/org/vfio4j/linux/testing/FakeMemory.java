// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.vfio4j.posix.Constants;
import org.vfio4j.type1.AddressSpace;

/**
 * What a process has mapped, kept for a {@link FakeKernel}: memory that {@code mmap(2)} gave can be
 * pinned for devices, all else is a bad address. The caller's lock covers it.
 */
final class FakeMemory {
  private record Area(long end, boolean writable) {}

  private final AddressSpace space;
  private final TreeMap<Long, Area> areas = new TreeMap<>();

  /** Keeps {@code space} as the process has it. */
  FakeMemory(AddressSpace space) {
    this.space = space;
  }

  /** Memory has been mapped, in place of what was there. */
  void mapped(long address, long length, int protection) {
    unmapped(address, length);
    if ((protection & Constants.PROT_READ) != 0) {
      add(address, address + whole(length), (protection & Constants.PROT_WRITE) != 0);
    }
  }

  /** Memory is gone. What of it was pinned stays so, as in the kernel. */
  void unmapped(long address, long length) {
    long end = address + whole(length);
    List<Map.Entry<Long, Area>> cut = new ArrayList<>();
    for (Map.Entry<Long, Area> entry : areas.headMap(end).entrySet()) {
      if (entry.getValue().end > address) {
        cut.add(Map.entry(entry.getKey(), entry.getValue()));
      }
    }
    for (Map.Entry<Long, Area> entry : cut) {
      long start = entry.getKey();
      Area area = entry.getValue();
      areas.remove(start);
      space.remove(start);
      if (start < address) {
        add(start, address, area.writable);
      }
      if (end < area.end) {
        add(end, area.end, area.writable);
      }
    }
  }

  @SuppressWarnings("restricted")
  private void add(long start, long end, boolean writable) {
    MemorySegment memory = MemorySegment.ofAddress(start).reinterpret(end - start);
    space.place(start, memory, writable);
    areas.put(start, new Area(end, writable));
  }

  private static long whole(long length) {
    return (length + AddressSpace.PAGE - 1) & -AddressSpace.PAGE;
  }
}
