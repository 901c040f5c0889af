// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.linux.testing.FakeKernel;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.LastingStore;

/**
 * What a broker holds, as others see it: its journal and its state, the kernel by what devices
 * reach, the store by its names, and the numbers of what is open.
 */
final class SeenLines {
  private static final int SELF = Math.toIntExact(ProcessHandle.current().pid());

  private final FakeKernel kernel;
  private final LastingStore store;
  private final Map<Journal.OfFile, Integer> files;

  /**
   * On a machine.
   *
   * @param files numbers of the files of all VMs, by what the journal says of them, at offset 0
   */
  SeenLines(FakeKernel kernel, LastingStore store, Map<Journal.OfFile, Integer> files) {
    this.kernel = kernel;
    this.store = store;
    this.files = files;
  }

  /** What is to be seen now; see {@link HeldLines#of}. */
  List<String> of(
      HeldWorld world,
      Broker broker,
      FaultyCalls calls,
      Map<Integer, Integer> signals,
      long within) {
    List<String> lines = new ArrayList<>();
    Journal journal = broker.journal();
    BrokerState state = broker.state();
    if (!journal.state().equals(state)) {
      lines.add("the journal says %s, the state is %s".formatted(journal.state(), state));
    }
    for (int n = 0; n < journal.vms().size(); n++) {
      int number = n < world.vms.size() ? world.vms.get(n).number : -1;
      vm(journal.vms().get(n), state.vms().get(n), number, within, lines);
    }
    lines.add(
        "descriptors %d, of VFIO %d, mappings %d"
            .formatted(calls.open(), kernel.open(), calls.mappings()));
    Map<String, Integer> names = new TreeMap<>();
    store.kept().keySet().forEach(name -> names.merge(general(name), 1, Integer::sum));
    lines.add("kept " + names);
    lines.add("signals " + signals);
    return lines;
  }

  private static String general(String name) {
    return name.replaceFirst("^(v\\d+\\.|c|m\\d+\\.|s\\d+\\.\\d+\\.)\\d+$", "$1");
  }

  private void vm(
      Journal.OfVm vm, BrokerState.OfVm state, int number, long within, List<String> lines) {
    Map<Integer, Integer> groups = new TreeMap<>();
    state.groups().forEach(g -> groups.put(g.number(), g.users()));
    lines.add("%s: groups %s, pinned 0x%x".formatted(vm.name(), groups, state.pinned()));
    Map<Long, List<String>> ranges = new TreeMap<>();
    vm.ranges()
        .forEach(r -> ranges.computeIfAbsent(r.iova(), i -> new ArrayList<>()).add(range(r)));
    ranges.values().stream()
        .flatMap(l -> l.stream().sorted())
        .forEach(r -> lines.add("%s: range %s".formatted(vm.name(), r)));
    for (int n = 0; n < vm.devices().size(); n++) {
      Journal.OfDevice d = vm.devices().get(n);
      boolean connected = d.phase() == BrokerState.Phase.CONNECTED;
      String user =
          d.client()
              .map(
                  c ->
                      ", admitted %s, failed %s, vectors %s"
                          .formatted(
                              c.admitted(),
                              c.admitted() || c.failed(),
                              Arrays.toString(c.vectors().stream().mapToInt(v -> v).toArray())))
              .orElse("");
      boolean answered = d.client().filter(c -> c.reply().isPresent()).isEmpty();
      lines.add(
          "%s: %s wrapped %s, used %s%s%s%s"
              .formatted(
                  vm.name(),
                  d.address(),
                  d.wrapped(),
                  d.used(),
                  user,
                  connected == d.client().isPresent() ? "" : ", " + d.phase(),
                  answered ? "" : ", not answered"));
      if (connected) {
        lines.add(
            "%s: %s reaches %s"
                .formatted(
                    vm.name(),
                    d.address(),
                    reaches(store.kept().get("d%d.%d".formatted(number, n)), within)));
      }
    }
  }

  private String range(Journal.Range r) {
    String where = "0x%x 0x%x".formatted(r.iova(), r.size());
    return r.memory()
        .map(
            m ->
                "%s %d file %d at 0x%x %s by %s"
                    .formatted(
                        where,
                        r.access(),
                        files.getOrDefault(new Journal.OfFile(m.device(), m.inode(), true, 0), -1),
                        m.offset(),
                        r.reach(),
                        r.holders()))
        .orElse("%s %s by %s".formatted(where, r.reach(), r.holders()));
  }

  private String reaches(@org.jspecify.annotations.Nullable Integer fd, long within) {
    if (fd == null) {
      return "nothing that is kept";
    }
    DmaPort port = kernel.dma(fd);
    StringBuilder all = new StringBuilder();
    for (long place : HeldLines.PLACES) {
      Mapping mapping = port.find(place + within);
      int prot =
          (port.reaches(place + within, Mapping.READ) ? Mapping.READ : 0)
              | (port.reaches(place + within, Mapping.WRITE) ? Mapping.WRITE : 0);
      all.append(
          prot == 0
              ? " -"
              : " %d:%s"
                  .formatted(
                      prot, word(mapping.memory().address() + mapping.offset(place + within))));
    }
    return all.toString();
  }

  /** What stands there, if anything does still: an access could end this process. */
  private static String word(long address) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment word = arena.allocate(ValueLayout.JAVA_LONG);
      long read =
          SystemCalls.libc()
              .processVmRead(SELF, vector(arena, word.address()), vector(arena, address));
      return read == Long.BYTES ? Long.toHexString(word.get(ValueLayout.JAVA_LONG, 0)) : "gone";
    }
  }

  private static MemorySegment vector(Arena arena, long address) {
    MemorySegment vector = arena.allocate(16, 8);
    vector.set(ValueLayout.JAVA_LONG, 0, address);
    vector.set(ValueLayout.JAVA_LONG, 8, Long.BYTES);
    return vector;
  }

  /** What one has and the other has not. */
  static String difference(List<String> expected, List<String> seen) {
    List<String> missing = new ArrayList<>(expected);
    seen.forEach(missing::remove);
    List<String> besides = new ArrayList<>(seen);
    expected.forEach(besides::remove);
    return "expected %s%nbut saw %s"
        .formatted(
            String.join(System.lineSeparator() + "         ", missing),
            String.join(System.lineSeparator() + "         ", Objects.requireNonNull(besides)));
  }

  /** The same, in no order. */
  static boolean same(List<String> expected, List<String> seen) {
    List<String> one = new ArrayList<>(expected);
    List<String> other = new ArrayList<>(seen);
    Collections.sort(one);
    Collections.sort(other);
    return one.equals(other);
  }
}
