// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.vfio.DriverKind;

/**
 * Which functions VFIO is to have, and why not: a group goes to one owner as a whole, and what the
 * host itself lives on is taken only where it is named with --force.
 *
 * @param functions what is to be bound, sorted; where something is refused, what was asked for
 * @param refusals why not, a sentence each with what to do; empty: it can be tried
 */
record Takeover(List<PciAddress> functions, List<String> refusals) {

  /** Base class of bridges. */
  private static final int BRIDGE = 0x06;

  /**
   * Decides.
   *
   * @param named what was asked for, all of it known to the host
   * @param forced what may be taken although the host lives on it
   * @param wholeGroup whether siblings that stand in the way are to be taken too
   */
  static Takeover of(
      HostTopology host,
      Collection<PciAddress> named,
      Collection<PciAddress> forced,
      boolean wholeGroup) {
    Set<PciAddress> wanted = new TreeSet<>(named);
    List<String> refusals = new ArrayList<>();
    for (PciAddress address : named) {
      Optional<PciFunction> function = host.function(address);
      if (function.flatMap(f -> f.group().value()).isEmpty()) {
        refusals.add(
            "%s is in no IOMMU group: its IOMMU is off, or does not serve it".formatted(address));
      }
      if (function.filter(Takeover::isBridge).isPresent()) {
        refusals.add("%s is a bridge: name the devices behind it".formatted(address));
      }
    }
    Set<PciAddress> siblings = siblings(host, wanted);
    if (wholeGroup) {
      wanted.addAll(siblings);
    } else if (!siblings.isEmpty()) {
      refusals.add(
          "a group goes as a whole, and the host uses %s of it: name %s too, or add --group"
              .formatted(described(host, siblings), siblings.size() == 1 ? "it" : "them"));
    }
    for (PciAddress address : wanted) {
      if (!forced.contains(address)) {
        host.function(address).ifPresent(f -> refusals.addAll(guarded(host, f)));
      }
    }
    return new Takeover(List.copyOf(refusals.isEmpty() ? wanted : named), refusals);
  }

  /** What the host has of it, or may have: a role that cannot be told counts as one. */
  private static List<String> guarded(HostTopology host, PciFunction function) {
    PciAddress address = function.address();
    List<String> refusals = new ArrayList<>();
    Set<Role> roles = host.rolesOf(address);
    if (!roles.isEmpty()) {
      List<String> uses = host.roles().because(address);
      String because =
          uses.isEmpty()
              ? ""
              : uses.stream().map(Text::printable).collect(Collectors.joining(", ", " (", ")"));
      refusals.add(
          "%s carries the %s of this host%s: to take it all the same, add --force %s"
              .formatted(address, joined(roles), because, address));
    }
    if (function.offeredByVendor()) {
      refusals.add(
          "%s is a virtual GPU, which %s gives to VMs itself, and none on vfio-pci: to take it all the same, add --force %s"
              .formatted(
                  address,
                  function.driver().value().map(Text::printable).orElse("its driver"),
                  address));
    }
    Set<Role> open = host.roles().openFor(function);
    if (!open.isEmpty() && roles.isEmpty()) {
      refusals.add(
          "%s may carry the %s of this host, which cannot be told here: to take it all the same,"
                  .formatted(address, joined(open))
              + " add --force %s".formatted(address));
    }
    return refusals;
  }

  private static String joined(Set<Role> roles) {
    return roles.stream().map(Words::of).collect(Collectors.joining(" and the "));
  }

  /** Members of the same groups that a driver of the host has. */
  private static Set<PciAddress> siblings(HostTopology host, Set<PciAddress> wanted) {
    Set<PciAddress> siblings = new TreeSet<>();
    for (PciAddress address : wanted) {
      host.groupOf(address).stream()
          .flatMap(g -> host.members(g.id()).stream())
          .filter(f -> !wanted.contains(f.address()) && standsInTheWay(f))
          .forEach(f -> siblings.add(f.address()));
    }
    return siblings;
  }

  private static boolean standsInTheWay(PciFunction function) {
    return function
        .driver()
        .value()
        .filter(d -> DriverKind.of(d, isBridge(function)) == DriverKind.HOST)
        .isPresent();
  }

  private static boolean isBridge(PciFunction function) {
    return function.classCode().filter(c -> c.base() == BRIDGE).isPresent();
  }

  private static String described(HostTopology host, Set<PciAddress> addresses) {
    return addresses.stream()
        .map(
            a ->
                "%s (%s)"
                    .formatted(
                        a,
                        host.function(a)
                            .flatMap(f -> f.driver().value())
                            .map(Text::printable)
                            .orElse("-")))
        .collect(Collectors.joining(", "));
  }
}
