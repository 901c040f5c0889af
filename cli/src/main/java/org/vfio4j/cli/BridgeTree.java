// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/** Which bridge leads to what: as the source says, else by the buses behind the bridges. */
final class BridgeTree {

  private final HostTopology host;
  private final Map<String, PciAddress> byBus = new HashMap<>();
  private final Map<PciAddress, List<PciFunction>> children = new HashMap<>();
  private final List<PciFunction> roots = new ArrayList<>();

  BridgeTree(HostTopology host) {
    this.host = host;
    for (PciFunction f : host.functions()) {
      f.buses()
          .ifPresent(b -> byBus.putIfAbsent(bus(f.address().domain(), b.secondary()), f.address()));
    }
    for (PciFunction f : host.functions()) {
      Optional<PciAddress> above = above(f);
      if (above.isPresent()) {
        children.computeIfAbsent(above.get(), k -> new ArrayList<>()).add(f);
      } else {
        roots.add(f);
      }
    }
  }

  private static String bus(int domain, int bus) {
    return domain + ":" + bus;
  }

  /** The bridge right above. */
  Optional<PciAddress> above(PciFunction function) {
    PciAddress own = function.address();
    if (function.parent().isNone()) {
      return Optional.empty();
    }
    return function
        .parent()
        .value()
        .or(() -> Optional.ofNullable(byBus.get(bus(own.domain(), own.bus()))))
        .filter(p -> !p.equals(own) && host.function(p).isPresent());
  }

  /** All bridges above, the next one first. */
  List<PciAddress> allAbove(PciFunction function) {
    List<PciAddress> all = new ArrayList<>();
    Optional<PciAddress> next = above(function);
    while (next.isPresent() && !all.contains(next.get())) {
      all.add(next.get());
      next = host.function(next.get()).flatMap(this::above);
    }
    return all;
  }

  /** The bus on which the topmost bridge above it is, or it is itself. */
  PciAddress root(PciFunction function) {
    List<PciAddress> above = allAbove(function);
    return above.isEmpty() ? function.address() : above.getLast();
  }

  /** All functions, each after the bridge that leads to it. */
  List<PciFunction> ordered() {
    List<PciFunction> all = new ArrayList<>();
    Set<PciAddress> seen = new HashSet<>();
    roots.forEach(f -> add(f, all, seen));
    // What a bridge leads to that leads back to itself stands for itself.
    host.functions().forEach(f -> add(f, all, seen));
    return all;
  }

  private void add(PciFunction function, List<PciFunction> to, Set<PciAddress> seen) {
    if (seen.add(function.address())) {
      to.add(function);
      List<PciFunction> below =
          new ArrayList<>(children.getOrDefault(function.address(), List.of()));
      below.sort(Comparator.comparing(PciFunction::address));
      below.forEach(f -> add(f, to, seen));
    }
  }
}
