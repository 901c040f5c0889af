// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Which functions carry the host's own disk, network and console. A role that is missing from the
 * map is unknown; one with an empty list is known to be carried by no PCI function.
 *
 * @param carriers for each known role the functions that carry it, sorted
 */
public record Roles(Map<Role, List<PciAddress>> carriers) {

  /** Nothing known. */
  public static final Roles UNKNOWN = new Roles(Map.of());

  /** Copies and sorts. */
  public Roles {
    SortedMap<Role, List<PciAddress>> sorted = new TreeMap<>();
    carriers.forEach((role, list) -> sorted.put(role, list.stream().sorted().distinct().toList()));
    carriers = java.util.Collections.unmodifiableSortedMap(sorted);
  }

  /** The functions with this role; empty where the source does not say. */
  public Optional<List<PciAddress>> of(Role role) {
    return Optional.ofNullable(carriers.get(role));
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
}
