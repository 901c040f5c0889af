// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;

/**
 * Finds what to change so that a refused device is had. Every candidate is applied to the request
 * or the host and run on the engine; only what works, refuses nothing else, and takes nothing from
 * anybody else is said.
 */
final class Fixes {
  /** Candidates that work and are shown, for one device. */
  private static final int SHOWN = 3;

  /** A candidate, and the device for which it is tried. */
  private record Trial(Fix fix, DeviceRequest wanted) {}

  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final Harm harm;
  private final Candidates candidates;
  private final Map<DeviceRequest, Integer> refused = new HashMap<>();
  private final Map<Trial, Boolean> tried = new HashMap<>();

  Fixes(Request request, HostTopology host, Options options, List<VmVerdict> verdicts) {
    this.request = request;
    this.host = host;
    this.options = options;
    this.harm = new Harm(request, host);
    this.candidates = new Candidates(request, host);
    refused.putAll(refusals(verdicts));
  }

  /** How often each device is refused. */
  private static Map<DeviceRequest, Integer> refusals(List<VmVerdict> verdicts) {
    Map<DeviceRequest, Integer> refused = new HashMap<>();
    verdicts.stream()
        .flatMap(v -> v.devices().stream())
        .filter(DeviceVerdict::refused)
        .forEach(d -> refused.merge(d.request(), 1, Integer::sum));
    return refused;
  }

  /** What to change for a refused device of a VM: at most three ways, the least intrusive first. */
  List<Fix> of(String vm, DeviceVerdict device) {
    DeviceRefusal refusal = device.refusal().orElseThrow();
    List<Fix> working = new ArrayList<>();
    Set<Object> families = new HashSet<>();
    for (Fix fix : candidates.of(vm, device, refusal)) {
      if (working.size() == SHOWN) {
        break;
      }
      if (!families.contains(family(fix)) && works(fix, vm, device.request())) {
        families.add(family(fix));
        working.add(fix);
      }
    }
    if (working.isEmpty()) {
      Fix without = candidates.without(vm, device.request());
      if (works(without, vm, device.request())) {
        working.add(without);
      }
    }
    return working;
  }

  /** Of several that do the same thing, only the first that works is said. */
  private static Object family(Fix fix) {
    return switch (fix) {
      case Fix.LessMemory _, Fix.AskFor _ -> fix.getClass();
      default -> fix;
    };
  }

  private boolean works(Fix fix, String vm, DeviceRequest wanted) {
    return tried.computeIfAbsent(new Trial(fix, wanted), k -> check(fix, vm, wanted));
  }

  /** Whether the device is had then, or not asked for, no other is refused, and nobody is hurt. */
  private boolean check(Fix fix, String vm, DeviceRequest wanted) {
    Fix.Changed after = fix.apply(request, host);
    if (harm.in(after, vm)) {
      return false;
    }
    Map<DeviceRequest, Integer> left =
        refusals(new Run(relevantPart(after, wanted), after.host(), options).verdicts());
    boolean newOnes =
        left.entrySet().stream().anyMatch(e -> e.getValue() > refused.getOrDefault(e.getKey(), 0));
    boolean still =
        left.entrySet().stream()
            .filter(e -> e.getKey().sameDevice(wanted))
            .anyMatch(e -> !e.getKey().equals(wanted) || !fewer(e.getValue(), wanted));
    return !newOnes && !still;
  }

  private boolean fewer(int times, DeviceRequest wanted) {
    return times < refused.getOrDefault(wanted, 0);
  }

  /**
   * The part of a request that a change can touch. Groups do not meddle with each other except
   * through a VM's memory: a VM that has its RAM given is kept whole.
   */
  private Request relevantPart(Fix.Changed after, DeviceRequest wanted) {
    Set<Optional<Integer>> groups = new HashSet<>(harm.groups(after));
    groups.add(groupOf(wanted));
    List<VmRequest> vms = new ArrayList<>();
    for (VmRequest vm : after.request().vms()) {
      List<DeviceRequest> touched =
          vm.devices().stream()
              .filter(d -> groups.contains(groupOf(d)) || groupOf(d).isEmpty())
              .toList();
      if (!touched.isEmpty()) {
        vms.add(vm.memory().isPresent() ? vm : vm.with(touched));
      }
    }
    return after.request().with(vms);
  }

  private Optional<Integer> groupOf(DeviceRequest device) {
    return PciAddress.tryParse(device.device()).flatMap(host::groupOf).map(g -> g.id());
  }
}
