// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Which functions carry the host's own disks, networks and console. A role that is missing from the
 * map is unknown; one with an empty list is known to be carried by no PCI function.
 *
 * @param carriers for each role the functions that carry it, sorted
 * @param partly roles of which the source shows some carriers and perhaps not all
 * @param because for a function, what the host uses of it, in words: {@code nvme0n1p2 is mounted on
 *     /var}
 */
public record Roles(
    Map<Role, List<PciAddress>> carriers, Set<Role> partly, Map<PciAddress, List<String>> because) {

  /** Nothing known. */
  public static final Roles UNKNOWN = new Roles(Map.of());

  /** Copies and sorts. */
  public Roles {
    SortedMap<Role, List<PciAddress>> sorted = new TreeMap<>();
    carriers.forEach((role, list) -> sorted.put(role, list.stream().sorted().distinct().toList()));
    carriers = Collections.unmodifiableSortedMap(sorted);
    EnumSet<Role> some = EnumSet.noneOf(Role.class);
    some.addAll(partly);
    some.retainAll(sorted.keySet());
    partly = Collections.unmodifiableSet(some);
    SortedMap<PciAddress, List<String>> reasons = new TreeMap<>();
    because.forEach((function, list) -> reasons.put(function, list.stream().distinct().toList()));
    because = Collections.unmodifiableSortedMap(reasons);
  }

  /** Roles whose carriers are known in full, or not at all, and not why. */
  public Roles(Map<Role, List<PciAddress>> carriers) {
    this(carriers, Set.of(), Map.of());
  }

  /** All functions with this role; empty where the source does not say, or not of all. */
  public Optional<List<PciAddress>> of(Role role) {
    return partly.contains(role) ? Optional.empty() : Optional.ofNullable(carriers.get(role));
  }

  /** The roles that the source gives this function; one that is unknown is not among them. */
  public Set<Role> of(PciAddress function) {
    EnumSet<Role> roles = EnumSet.noneOf(Role.class);
    carriers.forEach(
        (role, list) -> {
          if (list.contains(function)) {
            roles.add(role);
          }
        });
    return roles;
  }

  /**
   * The roles that this function may have, as its class allows them and the source does not say who
   * has them.
   */
  public Set<Role> openFor(PciFunction function) {
    EnumSet<Role> open = EnumSet.allOf(Role.class);
    open.removeIf(role -> of(role).isPresent() || !role.isPossibleFor(function));
    open.removeAll(of(function.address()));
    return open;
  }

  /** What the host uses of this function, in words; nothing where the source does not say. */
  public List<String> because(PciAddress function) {
    return because.getOrDefault(function, List.of());
  }
}
