// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.TreeMap;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;

/**
 * What follows from the members of a group.
 *
 * @param id its number
 * @param members its PCI functions, sorted
 * @param endpoints those of them that are no bridges: they go to one owner, together
 * @param others kernel names of members that are no PCI functions
 * @param holding who would hold the group: the strongest claim on any member
 * @param drivers drivers of the host that hold endpoints, sorted
 * @param roles duties that keep it with the host
 */
record GroupFacts(
    int id,
    List<PciFunction> members,
    List<PciFunction> endpoints,
    List<String> others,
    Holding holding,
    List<String> drivers,
    List<Role> roles) {

  /** The facts about every group of the host, by number. */
  static SequencedMap<Integer, GroupFacts> of(HostTopology host) {
    SequencedMap<Integer, GroupFacts> facts = new TreeMap<>();
    host.groups().forEach(g -> facts.put(g.id(), of(host, g)));
    return facts;
  }

  private static GroupFacts of(HostTopology host, HostGroup group) {
    List<PciFunction> members = host.members(group.id());
    List<PciFunction> endpoints = new ArrayList<>();
    SequencedSet<String> drivers = new LinkedHashSet<>();
    SequencedSet<Role> roles = new LinkedHashSet<>();
    Holding holding = Holding.BRIDGE;
    for (PciFunction member : members) {
      Holding own = Holding.of(host, member);
      if (!member.isBridge().orElse(false)) {
        endpoints.add(member);
      }
      if (own == Holding.HOST) {
        member.driver().value().ifPresent(drivers::add);
      }
      roles.addAll(host.rolesOf(member.address()));
      holding = own.compareTo(holding) < 0 ? own : holding;
    }
    if (members.isEmpty()) {
      holding = Holding.UNKNOWN;
    }
    return new GroupFacts(
        group.id(),
        members,
        endpoints,
        group.otherMembers(),
        holding,
        drivers.stream().sorted(Comparator.naturalOrder()).toList(),
        List.copyOf(roles));
  }

  /** Whether whoever gets one of its functions gets, or blocks, others. */
  boolean shared() {
    return endpoints.size() + others.size() > 1;
  }

  /** Who holds it, in a few words. */
  String holder() {
    return switch (holding) {
      case KEPT ->
          "needed by the host: " + String.join(", ", roles.stream().map(Words::of).toList());
      case HOST -> "held by " + String.join(", ", drivers);
      case UNKNOWN -> "driver not known";
      case VFIO -> "on VFIO, can be given away";
      case FREE -> "no driver";
      case BRIDGE -> "bridges only, nothing to give away";
    };
  }
}
