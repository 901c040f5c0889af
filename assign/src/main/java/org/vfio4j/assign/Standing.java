// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.vfio.DriverKind;

/**
 * The host as it stands with what runs on it. A group that a VM holds is viable, and what the VM
 * has of it is on a driver of VFIO, whatever an older capture says: where the two differ, what runs
 * counts, and the difference is told as an assumption.
 *
 * @param host the host, made to agree
 * @param assumed where it had to be
 */
record Standing(HostTopology host, List<Assumption> assumed) {

  /**
   * Puts both together.
   *
   * @throws BadInputException if a VM holds what the host has not, or two hold one group
   */
  static Standing of(Request request, HostTopology host) {
    Map<Integer, String> holders = new HashMap<>();
    List<Assumption> assumed = new ArrayList<>();
    HostTopology standing = host;
    for (RunningVm vm : request.running()) {
      for (String device : vm.devices()) {
        if (RunningVm.groupOf(host, device).isEmpty()) {
          throw error(request, vm, "host %s has no %s in a group".formatted(host.name(), device));
        }
      }
      for (int group : vm.allGroups(host)) {
        boolean there =
            host.group(group).isPresent()
                || host.mdevs().stream().anyMatch(m -> m.group().equals(Optional.of(group)));
        if (!there) {
          throw error(request, vm, "host %s has no group %d".formatted(host.name(), group));
        }
        String other = holders.put(group, vm.name());
        if (other != null) {
          throw error(request, vm, "group %d is held by %s too".formatted(group, other));
        }
        standing = settled(standing, vm, group, assumed);
      }
    }
    return new Standing(standing, assumed);
  }

  private static BadInputException error(Request request, RunningVm vm, String message) {
    return new BadInputException(request.source(), 0, "running." + vm.name(), message);
  }

  /** Whether VFIO has the function, by its driver. */
  static boolean offered(PciFunction function) {
    return function.offeredByVendor()
        || function
            .driver()
            .value()
            .filter(d -> DriverKind.of(d, false).registersWithVfio())
            .isPresent();
  }

  private static HostTopology settled(
      HostTopology host, RunningVm vm, int group, List<Assumption> assumed) {
    List<PciFunction> endpoints =
        host.members(group).stream().filter(f -> !f.isBridge().orElse(false)).toList();
    Set<PciAddress> named = new TreeSet<>();
    vm.devices().forEach(d -> PciAddress.tryParse(d).ifPresent(named::add));
    boolean any = endpoints.stream().anyMatch(f -> offered(f) || named.contains(f.address()));
    HostTopology settled = host;
    for (PciFunction f : endpoints) {
      boolean has = named.contains(f.address()) || !any;
      Fact<String> driver = has ? Fact.known(DriverKind.VFIO_PCI) : Fact.none();
      boolean wrong = has ? !offered(f) : blocks(f);
      if (wrong) {
        settled = settled.with(f.toBuilder().driver(driver).build());
        assumed.add(
            new Assumption(
                f.address().toString(),
                "driver under " + vm.name(),
                driver.value().orElse("none")));
      }
    }
    return settled;
  }

  /** Whether the group could not be held with the function on this driver. */
  private static boolean blocks(PciFunction function) {
    if (function.offeredByVendor()) {
      return false;
    }
    return switch (function.driver()) {
      case Fact.Known<String>(String name) -> DriverKind.of(name, false) == DriverKind.HOST;
      case Fact.None<String> _ -> false;
      case Fact.Unknown<String> _ -> true;
    };
  }
}
