// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.vfio4j.user.device.Pci;

/** What can be seen of a {@link HeldWorld} from outside, if the broker holds what it says. */
final class HeldLines {
  /** Bytes of the pieces that addresses are divided in. */
  static final long UNIT = 512 << 10;

  static final long HIGH = 1L << 32;

  /** Where memory is announced, and looked for. */
  static final List<Long> PLACES =
      LongStream.concat(
              LongStream.range(0, 14).map(n -> n * UNIT),
              LongStream.range(0, 4).map(n -> HIGH + n * UNIT))
          .boxed()
          .toList();

  private HeldLines() {}

  /**
   * What is to be seen.
   *
   * @param within bytes from each place where its memory is looked at
   */
  static List<String> of(HeldWorld world, long within) {
    List<String> lines = new ArrayList<>();
    int descriptors = 0;
    int vfio = 0;
    long files = 0;
    for (HeldVm vm : world.vms) {
      vm(vm, world, within, lines);
      int groups = HeldWorld.groups(vm).size();
      int containers = vm.inUse();
      long open = 1 + vm.files() + groups + containers;
      // Each in the process, and in the store.
      int ofVfio = 2 * (groups + containers);
      for (HeldVm.Device device : vm.devices) {
        open += (device.served ? 2 : 0) + (device.current == -1 ? 0 : 1) + device.queue.size();
        if (device.user.isPresent()) {
          HeldVm.User user = device.user.get();
          open += device.options.mmap() ? 2 : 1;
          ofVfio += device.options.mmap() ? 3 : 2;
          open += user.eventFds.containsKey(Pci.ERROR) ? 1 : 0;
          open += user.eventFds.containsKey(Pci.MSI) ? 1 : 0;
        }
      }
      descriptors += (int) open;
      vfio += ofVfio;
      files += vm.files();
    }
    lines.add("descriptors %d, of VFIO %d, mappings %d".formatted(descriptors, vfio, files));
    lines.add("kept " + kept(world));
    lines.add("signals " + world.signals);
    return lines;
  }

  private static void vm(HeldVm vm, HeldWorld world, long within, List<String> lines) {
    long pinned =
        vm.pieces.values().stream().filter(p -> p.pinned).mapToLong(p -> p.range.size()).sum();
    lines.add("%s: groups %s, pinned 0x%x".formatted(vm.name, HeldWorld.groups(vm), pinned));
    ranges(vm).forEach(r -> lines.add("%s: range %s".formatted(vm.name, r)));
    for (int n = 0; n < vm.devices.size(); n++) {
      HeldVm.Device d = vm.devices.get(n);
      boolean used = vm.name.equals(world.lastUsers.getOrDefault(d.address, ""));
      String user =
          d.user
              .map(
                  u ->
                      ", admitted %s, failed %s, vectors %s"
                          .formatted(
                              u.admitted, u.admitted || u.failure != 0, Arrays.toString(u.vectors)))
              .orElse("");
      lines.add(
          "%s: %s wrapped %s, used %s%s"
              .formatted(vm.name, d.address, d.options.wrapped(), used, user));
      if (d.user.isPresent()) {
        lines.add("%s: %s reaches %s".formatted(vm.name, d.address, reaches(vm, within)));
      }
    }
  }

  private static List<String> ranges(HeldVm vm) {
    Map<Long, List<String>> ranges = new TreeMap<>();
    vm.pieces.forEach(
        (iova, p) ->
            ranges
                .computeIfAbsent(iova, i -> new ArrayList<>())
                .add(
                    "0x%x 0x%x %d file %d at 0x%x %s by %s"
                        .formatted(
                            iova,
                            p.range.size(),
                            p.range.prot(),
                            p.range.file(),
                            p.range.offset(),
                            p.pinned ? "PINNED" : "NOTED",
                            p.holders)));
    for (int n = 0; n < vm.devices.size(); n++) {
      int device = n;
      vm.devices
          .get(n)
          .user
          .ifPresent(
              u ->
                  u.without.forEach(
                      (iova, size) ->
                          ranges
                              .computeIfAbsent(iova, i -> new ArrayList<>())
                              .add("0x%x 0x%x NEVER by [%d]".formatted(iova, size, device))));
    }
    return ranges.values().stream().flatMap(l -> l.stream().sorted()).toList();
  }

  private static String reaches(HeldVm vm, long within) {
    StringBuilder all = new StringBuilder();
    for (long place : PLACES) {
      Optional<HeldVm.Piece> piece =
          vm.pieces.values().stream()
              .filter(p -> p.pinned && p.range.overlaps(place + within, 1))
              .findFirst();
      all.append(
          piece
              .map(
                  p ->
                      " %d:%x"
                          .formatted(
                              p.range.prot(),
                              tag(
                                  vm.slot,
                                  p.range.file(),
                                  p.range.offset() + place + within - p.range.iova())))
              .orElse(" -"));
    }
    return all.toString();
  }

  /** What stands at the beginning of each page of a file. */
  static long tag(int slot, int file, long offset) {
    return 0x7700L << 48 | (long) slot << 40 | (long) file << 36 | offset >> 12;
  }

  /** Names of what outlives the process; numbers that nobody can foresee are left out. */
  private static Map<String, Integer> kept(HeldWorld world) {
    Map<String, Integer> names = new TreeMap<>();
    for (HeldVm vm : world.vms) {
      names.merge("v%d.".formatted(vm.number), 1, Integer::sum);
      HeldWorld.groups(vm).keySet().forEach(g -> names.merge("g" + g, 1, Integer::sum));
      add(names, "c", vm.inUse());
      add(names, "m%d.".formatted(vm.number), (int) vm.files());
      for (int n = 0; n < vm.devices.size(); n++) {
        HeldVm.Device d = vm.devices.get(n);
        add(names, "l%d.%d".formatted(vm.slot, n), d.served ? 1 : 0);
        int connections = (d.current == -1 ? 0 : 1) + d.queue.size();
        add(names, "s%d.%d.".formatted(vm.slot, n), connections);
        String index = "%d.%d".formatted(vm.number, n);
        add(names, "d" + index, d.user.isPresent() ? 1 : 0);
        boolean error = d.user.filter(u -> u.eventFds.containsKey(Pci.ERROR)).isPresent();
        boolean msi = d.user.filter(u -> u.eventFds.containsKey(Pci.MSI)).isPresent();
        add(names, "e" + index, error ? 1 : 0);
        add(names, "i%s.%d.0".formatted(index, Pci.MSI), msi ? 1 : 0);
      }
    }
    return names;
  }

  private static void add(Map<String, Integer> names, String name, int count) {
    if (count > 0) {
      names.merge(name, count, Integer::sum);
    }
  }
}
