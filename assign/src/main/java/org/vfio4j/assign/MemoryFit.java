// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.iommu.ReservedRegion;

/**
 * What of a VM's RAM and of its limit can decide whether the RAM is mapped, wherever on the host
 * its devices are. Of two VMs with the same one either both have theirs mapped or neither has.
 *
 * @param blocks how many pieces the RAM has
 * @param met the reserved regions of any group that a piece touches
 * @param beyond whether a piece ends above the IOMMU's width
 * @param wholePages whether it is in whole pages of the IOMMU
 * @param fewSpaces for how many address spaces the limit on locked memory is enough; empty if it is
 *     for all that the VM can have
 * @param exact the RAM itself, where the rest does not say enough: a guest with an IOMMU that has
 *     no room for it in some place
 */
record MemoryFit(
    int blocks,
    Set<ReservedRegion> met,
    boolean beyond,
    boolean wholePages,
    OptionalInt fewSpaces,
    Optional<Long> exact) {

  /** Devices that a fix gives a VM besides its own, at most. */
  private static final int GIVEN = 16;

  private static final MemoryFit NOT_MAPPED =
      new MemoryFit(0, Set.of(), false, true, OptionalInt.empty(), Optional.empty());

  MemoryFit {
    met = Set.copyOf(met);
  }

  /** Whether it is mapped whatever the group is, for each device. */
  boolean always() {
    return met.isEmpty() && !beyond && wholePages && exact.isEmpty() && fewSpaces.isEmpty();
  }

  /** A host's regions, each once, by their first address. */
  static final class Host {
    private final Set<ReservedRegion> regions = new LinkedHashSet<>();
    private final long page;
    private final long last;
    private final long widest;

    Host(HostTopology host) {
      host.groups().stream()
          .flatMap(g -> HostMachine.regions(host, g).stream())
          .sorted(Comparator.comparing(ReservedRegion::start, Long::compareUnsigned))
          .forEach(regions::add);
      page =
          host.iommu().pageSizes().orElse(List.of()).stream()
              .filter(size -> size > 0)
              .min(Comparator.naturalOrder())
              .orElse(1L);
      int bits = HostMachine.addressWidth(host);
      last = bits >= Long.SIZE ? -1L : (1L << bits) - 1;
      widest = widest();
    }

    /** The most that lies between two regions of whatever groups, in bytes; 2^63 - 1 at most. */
    private long widest() {
      long from = 0;
      long most = 0;
      for (ReservedRegion region : regions) {
        if (Long.compareUnsigned(region.start(), from) > 0) {
          most = Math.max(most, size(from, region.start()));
        }
        long next = region.last() + 1;
        from = Long.compareUnsigned(next, from) > 0 ? next : from;
      }
      return Long.compareUnsigned(last, from) > 0 ? Math.max(most, size(from, last)) : most;
    }

    private static long size(long from, long to) {
      long size = to - from;
      return size < 0 ? Long.MAX_VALUE : size;
    }

    MemoryFit of(VmRequest vm) {
      return vm.memory().map(bytes -> of(vm, bytes)).orElse(NOT_MAPPED);
    }

    private MemoryFit of(VmRequest vm, long bytes) {
      List<GuestMemory.Block> blocks = new ArrayList<>(GuestMemory.layout(bytes, false));
      long locked = blocks.stream().mapToLong(GuestMemory.Block::size).sum();
      boolean tight = vm.viommu() && bytes + GuestMemory.BESIDE_RAM > widest;
      if (vm.viommu()) {
        locked = bytes + GuestMemory.BESIDE_RAM;
        blocks.clear(); // The guest puts it where there is room.
      } else {
        blocks.addAll(GuestMemory.layout(bytes, true)); // Or as a host of AMD has it.
      }
      long each = locked;
      long most = vm.viommu() ? vm.devices().size() + GIVEN : 1;
      OptionalInt fewSpaces =
          vm.memlock().map(limit -> limit / each).filter(n -> n < most).stream()
              .mapToInt(Long::intValue)
              .findFirst();
      return new MemoryFit(
          blocks.size(),
          met(blocks),
          blocks.stream().anyMatch(b -> Long.compareUnsigned(end(b), last) > 0),
          bytes % page == 0,
          fewSpaces,
          tight ? Optional.of(bytes) : Optional.empty());
    }

    private Set<ReservedRegion> met(List<GuestMemory.Block> blocks) {
      Set<ReservedRegion> met = new HashSet<>();
      for (ReservedRegion region : regions) {
        boolean touched =
            blocks.stream()
                .anyMatch(
                    b ->
                        Long.compareUnsigned(b.start(), region.last()) <= 0
                            && Long.compareUnsigned(region.start(), end(b)) <= 0);
        if (touched) {
          met.add(region);
        }
      }
      return met;
    }

    private static long end(GuestMemory.Block block) {
      return block.start() + block.size() - 1;
    }
  }
}
