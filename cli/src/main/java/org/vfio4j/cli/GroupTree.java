// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevOffers;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * The groups of a host as a picture has them: bus by bus, each below the group of the bridge that
 * leads to it, and those that nobody would ask for folded into a count.
 */
final class GroupTree {

  private static final int ISA_BRIDGE = 0x0601;

  private final HostTopology host;
  private final BridgeTree bridges;
  private final Set<PciAddress> parents;
  private final Map<String, Draft> drafts = new LinkedHashMap<>();
  private final List<BusLane> lanes;

  /** A group before it is known what is drawn of it. */
  private static final class Draft {
    private final Optional<Integer> group;
    private final List<PciFunction> members = new ArrayList<>();
    private final List<Draft> below = new ArrayList<>();
    private Optional<Draft> above = Optional.empty();

    Draft(Optional<Integer> group) {
      this.group = group;
    }

    boolean isBelow(Draft other) {
      for (Optional<Draft> d = Optional.of(this); d.isPresent(); d = d.get().above) {
        if (d.get() == other) {
          return true;
        }
      }
      return false;
    }
  }

  GroupTree(HostTopology host) {
    this.host = host;
    this.bridges = new BridgeTree(host);
    this.parents =
        host.mdevParents().stream()
            .map(MdevOffers::address)
            .flatMap(Optional::stream)
            .collect(Collectors.toSet());
    collect();
    this.lanes = lay();
  }

  /** The buses, sorted. */
  List<BusLane> lanes() {
    return lanes;
  }

  /** Which bridge leads to what. */
  BridgeTree bridges() {
    return bridges;
  }

  private static String key(PciFunction f) {
    return f.group().value().map(g -> "group " + g).orElse(f.address().toString());
  }

  private void collect() {
    List<PciFunction> ordered = bridges.ordered();
    for (PciFunction f : ordered) {
      drafts.computeIfAbsent(key(f), k -> new Draft(f.group().value())).members.add(f);
    }
    for (Draft draft : drafts.values()) {
      Optional<Draft> above =
          bridges
              .above(draft.members.getFirst())
              .flatMap(host::function)
              .map(p -> drafts.get(key(p)));
      if (above.isPresent() && !above.get().isBelow(draft)) {
        draft.above = above;
        above.get().below.add(draft);
      }
    }
  }

  private List<BusLane> lay() {
    Map<PciAddress, List<GroupNode>> drawn = new TreeMap<>();
    Map<PciAddress, List<PciFunction>> folded = new TreeMap<>();
    for (Draft draft : drafts.values()) {
      if (draft.above.isEmpty()) {
        PciAddress bus = bus(bridges.root(draft.members.getFirst()));
        List<PciFunction> counted = new ArrayList<>();
        node(draft, counted)
            .ifPresent(n -> drawn.computeIfAbsent(bus, k -> new ArrayList<>()).add(n));
        for (PciFunction f : counted) {
          folded.computeIfAbsent(bus(bridges.root(f)), k -> new ArrayList<>()).add(f);
        }
      }
    }
    Set<PciAddress> buses = new TreeSet<>(drawn.keySet());
    buses.addAll(folded.keySet());
    return buses.stream()
        .map(
            b ->
                new BusLane(
                    b.domain(),
                    b.bus(),
                    drawn.getOrDefault(b, List.of()),
                    folded.getOrDefault(b, List.of())))
        .toList();
  }

  private static PciAddress bus(PciAddress address) {
    return new PciAddress(address.domain(), address.bus(), 0, 0);
  }

  /** The group with what is below it; empty where all of that is only counted. */
  private Optional<GroupNode> node(Draft draft, List<PciFunction> counted) {
    List<PciFunction> ports = new ArrayList<>();
    List<PciFunction> shown = new ArrayList<>();
    List<PciFunction> rest = new ArrayList<>();
    boolean platform = draft.members.stream().anyMatch(GroupTree::isIsaBridge);
    for (PciFunction f : draft.members) {
      if (f.isBridge().orElse(false)) {
        ports.add(f);
      } else if (!isBelowItsPhysicalFunction(f)) {
        (isShown(f, platform) ? shown : rest).add(f);
      }
    }
    List<GroupNode> below = new ArrayList<>();
    draft.below.forEach(d -> node(d, counted).ifPresent(below::add));
    if (shown.isEmpty() && below.isEmpty()) {
      counted.addAll(ports);
      counted.addAll(rest);
      return Optional.empty();
    }
    List<String> others =
        draft.group.flatMap(host::group).map(g -> g.otherMembers()).orElse(List.of());
    GroupNode node = new GroupNode(draft.group, List.of(), ports, shown, rest, others, below);
    boolean passes = node.port() && ports.size() == 1 && below.size() == 1;
    return Optional.of(passes ? below.getFirst().behind(ports) : node);
  }

  private static boolean isIsaBridge(PciFunction f) {
    return f.classCode().filter(c -> c.code16() == ISA_BRIDGE).isPresent();
  }

  /** A virtual function is drawn with its physical one, if the source has that. */
  private boolean isBelowItsPhysicalFunction(PciFunction f) {
    return f.physicalFunction().value().flatMap(host::function).isPresent();
  }

  private boolean isShown(PciFunction f, boolean platform) {
    DeviceKind kind = DeviceKind.of(f);
    boolean wanted = kind != DeviceKind.CHIPSET && kind != DeviceKind.BRIDGE && !platform;
    return wanted
        || !host.rolesOf(f.address()).isEmpty()
        || parents.contains(f.address())
        || !host.virtualFunctions(f.address()).isEmpty();
  }
}
