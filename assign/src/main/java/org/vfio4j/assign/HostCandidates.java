// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.vfio.DriverKind;

/** Changes to the host that may help against a refusal. */
final class HostCandidates {
  private static final long DEFAULT_ENTRY_LIMIT = 65535;

  private final HostTopology host;
  private final Set<String> requested;

  HostCandidates(Request request, HostTopology host) {
    this.host = host;
    this.requested =
        request.vms().stream()
            .flatMap(v -> v.devices().stream())
            .map(DeviceRequest::device)
            .collect(Collectors.toSet());
  }

  private Optional<PciFunction> function(DeviceRequest wanted) {
    return PciAddress.tryParse(wanted.device()).flatMap(host::function);
  }

  /** Members of the group that a driver of the host has, all of them, leave it. */
  Optional<Fix.Unbind> unbind(DeviceRequest wanted) {
    List<PciFunction> blockers =
        PciAddress.tryParse(wanted.device())
            .flatMap(host::groupOf)
            .map(g -> host.members(g.id()))
            .orElse(List.of())
            .stream()
            .filter(f -> !requested.contains(f.address().toString()))
            .filter(f -> !f.isBridge().orElse(false))
            .filter(HostCandidates::hostDriven)
            .toList();
    return blockers.isEmpty() ? Optional.empty() : Optional.of(new Fix.Unbind(blockers));
  }

  /** Whether the host has it, or may have: a driver that is not known is taken for one of its. */
  private static boolean hostDriven(PciFunction function) {
    if (function.offeredByVendor()) {
      return false;
    }
    return switch (function.driver()) {
      case Fact.Known<String>(String name) -> DriverKind.of(name, false) == DriverKind.HOST;
      case Fact.None<String> _ -> false;
      case Fact.Unknown<String> _ -> true;
    };
  }

  Fix moreEntries() {
    long limit = host.iommu().dmaEntryLimit().orElse(DEFAULT_ENTRY_LIMIT);
    return new Fix.RaiseEntryLimit(Math.max(DEFAULT_ENTRY_LIMIT, limit));
  }

  List<Fix> releasePhysical(DeviceRequest wanted) {
    return function(wanted)
        .flatMap(f -> f.physicalFunction().value())
        .flatMap(host::function)
        .map(pf -> (Fix) new Fix.ReleasePhysical(pf.address()))
        .stream()
        .toList();
  }

  List<Fix> removeVirtual(DeviceRequest wanted) {
    return function(wanted)
        .filter(f -> f.numVfs().orElse(0) > 0)
        .filter(
            f ->
                host.virtualFunctions(f.address()).stream()
                    .noneMatch(v -> requested.contains(v.address().toString())))
        .map(f -> (Fix) new Fix.NoVirtualFunctions(f.address()))
        .stream()
        .toList();
  }

  /** Where other functions are in groups, that is no way out. */
  List<Fix> showGroups(DeviceRequest wanted, boolean off) {
    return function(wanted)
        .filter(f -> host.functions().stream().noneMatch(o -> o.group().value().isPresent()))
        .map(f -> (Fix) new Fix.ShowGroups(f.address(), off))
        .stream()
        .toList();
  }
}
