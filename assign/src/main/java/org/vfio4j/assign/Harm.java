// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * Whether a change takes something from somebody who has not asked for it: another VM of the
 * request, one that runs, or the host.
 */
final class Harm {
  private final Request request;
  private final HostTopology host;
  private final Set<Integer> held = new HashSet<>();

  Harm(Request request, HostTopology host) {
    this.request = request;
    this.host = host;
    request.running().forEach(vm -> held.addAll(vm.allGroups(host)));
  }

  /** Whether the change does, made for this VM. */
  boolean in(Fix.Changed after, String asking) {
    boolean hurt =
        request.vms().stream()
            .filter(v -> !v.name().equals(asking))
            .anyMatch(v -> hurts(v, after.request().vm(v.name())));
    List<VmRequest> others = request.vms().stream().filter(v -> !v.name().equals(asking)).toList();
    Set<PciFunction> taken = taken(after);
    return hurt
        || taken.stream().anyMatch(f -> isKept(f) || isAskedFor(f, others))
        || virtual(taken).stream().anyMatch(f -> isKept(f) || isAskedFor(f, request.vms()));
  }

  /** A VM that has all it had, and perhaps more, is not hurt. */
  private static boolean hurts(VmRequest before, Optional<VmRequest> after) {
    if (after.isEmpty() || !after.get().with(before.devices()).equals(before)) {
      return true;
    }
    List<DeviceRequest> left = new ArrayList<>(after.get().devices());
    return !before.devices().stream().allMatch(left::remove);
  }

  /** Functions that the change takes from their drivers, on the host or for a VM. */
  private Set<PciFunction> taken(Fix.Changed after) {
    Set<PciFunction> taken = new HashSet<>();
    for (PciFunction before : host.functions()) {
      Optional<PciFunction> now = after.host().function(before.address());
      boolean same =
          now.filter(f -> f.driver().equals(before.driver()) && f.numVfs().equals(before.numVfs()))
              .isPresent();
      if (!same) {
        taken.add(before);
      }
    }
    Set<DeviceRequest> known = devices(request);
    devices(after.request()).stream()
        .filter(d -> !known.contains(d) && d.takesFunction())
        .flatMap(d -> PciAddress.tryParse(d.device()).flatMap(host::function).stream())
        .forEach(taken::add);
    return taken;
  }

  private static Set<DeviceRequest> devices(Request request) {
    return request.vms().stream().flatMap(v -> v.devices().stream()).collect(Collectors.toSet());
  }

  /** What a driver switched on goes with it. */
  private List<PciFunction> virtual(Set<PciFunction> taken) {
    return taken.stream().flatMap(f -> host.virtualFunctions(f.address()).stream()).toList();
  }

  /** Every group in which the change moves something: what it can do lies there. */
  Set<Optional<Integer>> groups(Fix.Changed after) {
    Set<PciFunction> taken = taken(after);
    Set<Optional<Integer>> groups = new HashSet<>();
    taken.forEach(f -> groups.add(f.group().value()));
    virtual(taken).forEach(f -> groups.add(f.group().value()));
    return groups;
  }

  /**
   * Whether the host needs it, a running VM has its group, or its driver has made a device of it.
   */
  private boolean isKept(PciFunction function) {
    String address = function.address().toString();
    return !host.rolesOf(function.address()).isEmpty()
        || function.group().value().filter(held::contains).isPresent()
        || host.mdevs().stream().anyMatch(m -> m.parent().equals(address));
  }

  private static boolean isAskedFor(PciFunction function, List<VmRequest> vms) {
    String address = function.address().toString();
    return vms.stream()
        .flatMap(v -> v.devices().stream())
        .anyMatch(d -> d.device().equals(address));
  }
}
