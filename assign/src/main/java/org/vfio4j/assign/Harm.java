// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciClass;
import org.vfio4j.host.PciFunction;

/**
 * Whether a change takes something from somebody who has not asked for it: another VM of the
 * request, one that runs, or the host.
 */
final class Harm {
  private final HostTopology host;
  private final Places places;
  private final Set<Integer> held = new HashSet<>();

  /** The VMs that ask for a device, by the device. */
  private final Map<String, Set<String>> asking = new HashMap<>();

  Harm(Request request, HostTopology host) {
    this.host = host;
    this.places = new Places(host);
    request.running().forEach(vm -> held.addAll(vm.allGroups(host)));
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest d : vm.devices()) {
        asking.computeIfAbsent(d.device(), k -> new HashSet<>()).add(vm.name());
      }
    }
  }

  /**
   * Whether the change does, made for this VM.
   *
   * @param before the part of the request that it may touch, in which every VM stands where it
   *     stands after the change
   */
  boolean in(Request before, Fix fix, Fix.Changed after, String vm) {
    List<VmRequest> now = after.request().vms();
    for (int i = 0; i < now.size(); i++) {
      VmRequest was = before.vms().get(i);
      if (!was.name().equals(vm) && hurts(was, now.get(i))) {
        return true;
      }
    }
    Set<PciFunction> taken = taken(after.host());
    taken.addAll(given(before, after.request()));
    List<PciFunction> gone = virtual(taken);
    // Those come back under the same addresses before any VM starts.
    List<PciFunction> lost = fix instanceof Fix.ReleasePhysical ? List.of() : gone;
    Set<String> own = asked(vm);
    return taken.stream().anyMatch(f -> isKept(f) || isAskedFor(f, vm))
        || gone.stream().anyMatch(this::isKept)
        || taken.stream().anyMatch(f -> !own.contains(name(f)) && isVital(f))
        || lost.stream().anyMatch(f -> asking.containsKey(name(f)))
        || lost.stream().anyMatch(f -> !own.contains(physical(f)) && isVital(f));
  }

  /** A VM that has all it had, and perhaps more, is not hurt. */
  private static boolean hurts(VmRequest before, VmRequest after) {
    if (after == before) {
      return false;
    }
    if (!after.with(before.devices()).equals(before)) {
      return true;
    }
    // It has what it had, be it with a token.
    List<DeviceRequest> left =
        after.devices().stream()
            .map(DeviceRequest::withoutToken)
            .collect(Collectors.toCollection(ArrayList::new));
    return !before.devices().stream().map(DeviceRequest::withoutToken).allMatch(left::remove);
  }

  /** Functions that a change of the host takes from their drivers. */
  private Set<PciFunction> taken(HostTopology after) {
    Set<PciFunction> taken = new HashSet<>();
    if (after == host) {
      return taken;
    }
    for (PciFunction before : host.functions()) {
      // One that is not there any more is a virtual one, and counts with its physical function.
      boolean other =
          after
              .function(before.address())
              .filter(
                  f -> !f.driver().equals(before.driver()) || !f.numVfs().equals(before.numVfs()))
              .isPresent();
      if (other) {
        taken.add(before);
      }
    }
    return taken;
  }

  /** Functions that a change of the request takes from their drivers. */
  private Set<PciFunction> given(Request before, Request after) {
    Set<DeviceRequest> known = devices(before);
    return devices(after).stream()
        .filter(d -> !known.contains(d) && d.takesFunction())
        .flatMap(d -> PciAddress.tryParse(d.device()).flatMap(host::function).stream())
        .collect(Collectors.toSet());
  }

  private static Set<DeviceRequest> devices(Request request) {
    return request.vms().stream()
        .flatMap(v -> v.devices().stream())
        .map(DeviceRequest::withoutToken)
        .collect(Collectors.toSet());
  }

  /** What a driver switched on goes with it. */
  private List<PciFunction> virtual(Set<PciFunction> taken) {
    return taken.stream().flatMap(f -> host.virtualFunctions(f.address()).stream()).toList();
  }

  /** Every place in which a change of the host moves something: what it can do lies there. */
  Set<Places.Place> places(HostTopology after) {
    Set<PciFunction> taken = taken(after);
    Set<Places.Place> touched = new HashSet<>();
    taken.forEach(f -> touched.addAll(places.of(f)));
    virtual(taken).forEach(f -> touched.addAll(places.of(f)));
    return touched;
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

  private Set<String> asked(String vm) {
    return asking.entrySet().stream()
        .filter(e -> e.getValue().contains(vm))
        .map(Map.Entry::getKey)
        .collect(Collectors.toSet());
  }

  private static String physical(PciFunction virtual) {
    return virtual.physicalFunction().value().map(PciAddress::toString).orElse("");
  }

  /**
   * Whether the host may well not run without it: a part of the chipset, or what may carry its
   * disk, its network or its console without the source saying so.
   */
  private boolean isVital(PciFunction function) {
    return function.classCode().map(Harm::isOfTheChipset).orElse(false)
        || !host.roles().openFor(function).isEmpty();
  }

  /** Bridges (to ISA and LPC, too), memory, system peripherals, SMBus, IPMI, processors. */
  private static boolean isOfTheChipset(PciClass code) {
    return switch (code.base()) {
      case 0x05, 0x06, 0x08, 0x0b -> true;
      case 0x0c -> code.code16() == 0x0c05 || code.code16() == 0x0c07 || code.code16() == 0x0c80;
      default -> false;
    };
  }

  private static String name(PciFunction function) {
    return function.address().toString();
  }

  /** Whether another VM asks for it. */
  private boolean isAskedFor(PciFunction function, String vm) {
    return asking.getOrDefault(name(function), Set.of()).stream().anyMatch(v -> !v.equals(vm));
  }
}
