// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What no machine can look like. The first violation is found, in a stable order. */
final class TopologyRules {

  /**
   * A contradiction.
   *
   * @param subject the address, group, UUID or role that is concerned
   * @param field name of the field in a capture
   * @param message what is wrong
   */
  record Violation(String subject, String field, String message) {}

  private final boolean partial;
  private final List<PciFunction> functions;
  private final Map<PciAddress, PciFunction> byAddress = new HashMap<>();

  private TopologyRules(boolean partial, List<PciFunction> functions) {
    this.partial = partial;
    this.functions = functions;
  }

  /** The first violation, or empty if the parts fit. */
  static Optional<Violation> firstViolation(
      boolean partial,
      List<PciFunction> functions,
      List<HostGroup> groups,
      List<MdevOffers> parents,
      List<Mdev> mdevs,
      List<MdevDefinition> definitions,
      Roles roles) {
    TopologyRules rules = new TopologyRules(partial, functions);
    return rules
        .duplicates()
        .or(rules::vfs)
        .or(rules::bridges)
        .or(() -> rules.groups(groups))
        .or(() -> rules.mdevs(groups, parents, mdevs))
        .or(() -> definitions(definitions))
        .or(() -> rules.roles(roles));
  }

  private static Optional<Violation> bad(Object subject, String field, String message) {
    return Optional.of(new Violation(subject.toString(), field, message));
  }

  private Optional<Violation> duplicates() {
    for (PciFunction function : functions) {
      if (byAddress.put(function.address(), function) != null) {
        return bad(
            function.address(), "address", "two functions have the address " + function.address());
      }
    }
    return Optional.empty();
  }

  private Optional<Violation> vfs() {
    for (PciFunction function : functions) {
      if (function.numVfs().orElse(0) < 0 || function.totalVfs().orElse(0) < 0) {
        return bad(function.address(), "numVfs", "negative number of VFs");
      }
      if (function.numVfs().orElse(0) > function.totalVfs().orElse(Integer.MAX_VALUE)) {
        return bad(function.address(), "numVfs", "more VFs than totalVfs");
      }
      Optional<PciAddress> physical = function.physicalFunction().value();
      if (physical.isEmpty()) {
        continue;
      }
      PciFunction pf = byAddress.get(physical.get());
      if (pf == null && !partial) {
        return bad(
            function.address(), "physfn", "VF of a missing physical function " + physical.get());
      }
      if (pf != null && pf.physicalFunction().value().isPresent()) {
        return bad(
            function.address(), "physfn", "VF of " + physical.get() + ", which is a VF itself");
      }
    }
    return Optional.empty();
  }

  private Optional<Violation> bridges() {
    Set<PciAddress> rooted = new HashSet<>();
    for (PciFunction function : functions) {
      Set<PciAddress> path = new HashSet<>();
      Optional<PciFunction> at = Optional.of(function);
      while (at.isPresent() && !rooted.contains(at.get().address())) {
        PciFunction here = at.get();
        if (!path.add(here.address())) {
          return bad(
              here.address(), "parent", "the bridges above " + here.address() + " form a cycle");
        }
        Optional<PciAddress> parent = here.parent().value();
        at = parent.map(byAddress::get);
        if (parent.isPresent() && at.isEmpty() && !partial) {
          return bad(here.address(), "parent", "missing parent bridge " + parent.get());
        }
      }
      rooted.addAll(path);
    }
    return Optional.empty();
  }

  private Optional<Violation> groups(List<HostGroup> groups) {
    Map<PciAddress, Integer> groupOf = new HashMap<>();
    Set<Integer> ids = new HashSet<>();
    for (HostGroup group : groups) {
      if (!ids.add(group.id())) {
        return bad("group " + group.id(), "id", "two groups have the number " + group.id());
      }
      for (PciAddress member : group.members()) {
        Integer other = groupOf.put(member, group.id());
        if (other != null) {
          return bad(member, "group", inTwoGroups(member.toString(), other, group.id()));
        }
      }
    }
    for (PciFunction function : functions) {
      Optional<Integer> said = function.group().value();
      Optional<Integer> listed = Optional.ofNullable(groupOf.remove(function.address()));
      if (!said.equals(listed)) {
        return bad(
            function.address(),
            "group",
            "the function says group "
                + said.map(String::valueOf).orElse("none")
                + ", the groups say "
                + listed.map(String::valueOf).orElse("none"));
      }
    }
    return groupOf.entrySet().stream()
        .min(Map.Entry.comparingByKey())
        .flatMap(e -> bad(e.getKey(), "group", "member of group " + e.getValue() + " is missing"));
  }

  static String inTwoGroups(String device, int one, int other) {
    return device + " is in two groups: " + one + " and " + other;
  }

  private Optional<Violation> mdevs(
      List<HostGroup> groups, List<MdevOffers> parents, List<Mdev> mdevs) {
    Set<String> names = new HashSet<>();
    for (MdevOffers parent : parents) {
      if (!names.add(parent.device())) {
        return bad(parent.device(), "device", "two mdev parents have this name");
      }
      if (isMissing(parent.address())) {
        return bad(parent.device(), "device", "mdev parent is no function of this host");
      }
      Set<String> types = new HashSet<>();
      for (MdevType type : parent.types()) {
        if (!types.add(type.id())) {
          return bad(parent.device(), "types", "type " + type.id() + " twice");
        }
      }
    }
    Set<Integer> taken = new HashSet<>();
    groups.forEach(g -> taken.add(g.id()));
    Set<Object> uuids = new HashSet<>();
    for (Mdev mdev : mdevs) {
      if (!uuids.add(mdev.uuid())) {
        return bad(mdev.uuid(), "uuid", "two mediated devices have the UUID " + mdev.uuid());
      }
      if (isMissing(mdev.parentAddress())) {
        return bad(mdev.uuid(), "parent", "mdev of a missing parent " + mdev.parent());
      }
      if (mdev.group().isPresent() && !taken.add(mdev.group().get())) {
        return bad(
            mdev.uuid(), "group", "group " + mdev.group().get() + " holds another device already");
      }
    }
    return Optional.empty();
  }

  /** A definition outlives its parent, and what it says of one need not be so. */
  private static Optional<Violation> definitions(List<MdevDefinition> definitions) {
    Set<Object> names = new HashSet<>();
    for (MdevDefinition definition : definitions) {
      if (!names.add(List.of(definition.parent(), definition.uuid()))) {
        return bad(
            definition.uuid(),
            "uuid",
            "two definitions of %s for %s".formatted(definition.uuid(), definition.parent()));
      }
    }
    return Optional.empty();
  }

  private Optional<Violation> roles(Roles roles) {
    for (Map.Entry<Role, List<PciAddress>> role : roles.carriers().entrySet()) {
      for (PciAddress carrier : role.getValue()) {
        if (isMissing(Optional.of(carrier))) {
          return bad(carrier, "roles." + role.getKey().word(), "no function of this host");
        }
      }
    }
    return Optional.empty();
  }

  private boolean isMissing(Optional<PciAddress> address) {
    return address.isPresent() && !partial && !byAddress.containsKey(address.get());
  }
}
