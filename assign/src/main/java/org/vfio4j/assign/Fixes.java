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
import java.util.stream.Collectors;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;

/**
 * Finds what to change so that a refused device is had. Every candidate is applied to the request
 * or the host and run on the engine; only what works, and refuses nothing else, is said.
 */
final class Fixes {
  /** Candidates that work and are shown, for one device. */
  private static final int SHOWN = 3;

  /**
   * A change to try.
   *
   * @param family of several that do the same thing, only the first that works is said
   * @param text what to do, in the user's words
   * @param request the request afterwards
   * @param host the host afterwards
   * @param options with which to check
   */
  record Candidate(
      String family, String text, Request request, HostTopology host, Options options) {}

  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final Map<DeviceRequest, DeviceRefusal> refused = new HashMap<>();
  private final Map<String, Boolean> tried = new HashMap<>();

  Fixes(Request request, HostTopology host, Options options, List<VmVerdict> verdicts) {
    this.request = request;
    this.host = host;
    this.options = options;
    verdicts.stream()
        .flatMap(v -> v.devices().stream())
        .forEach(d -> d.refusal().ifPresent(r -> refused.put(d.request(), r)));
  }

  /** What to change for a refused device of a VM: at most three ways, the least intrusive first. */
  List<String> of(String vm, DeviceVerdict device) {
    DeviceRefusal refusal = device.refusal().orElseThrow();
    List<String> working = new ArrayList<>();
    Set<String> families = new HashSet<>();
    Candidates candidates = new Candidates(request, host, options);
    for (Candidate candidate : candidates.of(vm, device, refusal)) {
      if (working.size() == SHOWN) {
        break;
      }
      if (!families.contains(candidate.family()) && works(candidate, device.request())) {
        families.add(candidate.family());
        working.add(candidate.text());
      }
    }
    if (working.isEmpty()) {
      Candidate without = candidates.without(vm, device.request());
      if (works(without, device.request())) {
        working.add(without.text());
      }
    }
    return working;
  }

  /** Whether with the change the device is had, or not asked for, and no other refusal is new. */
  private boolean works(Candidate candidate, DeviceRequest wanted) {
    String key = candidate.text() + " for " + wanted.device();
    return tried.computeIfAbsent(key, k -> check(candidate, wanted));
  }

  private boolean check(Candidate candidate, DeviceRequest wanted) {
    Candidate relevant = relevantPart(candidate, wanted);
    List<DeviceVerdict> after =
        new Run(relevant.request(), relevant.host(), relevant.options())
            .verdicts().stream().flatMap(v -> v.devices().stream()).toList();
    return after.stream()
        .filter(DeviceVerdict::refused)
        .allMatch(d -> !d.request().sameDevice(wanted) && refused.containsKey(d.request()));
  }

  /**
   * The part of a request that a change can touch. Groups do not meddle with each other except
   * through a VM's memory: a VM that has its RAM given is kept whole.
   */
  private Candidate relevantPart(Candidate candidate, DeviceRequest wanted) {
    Set<Optional<Integer>> groups = new HashSet<>();
    groups.add(groupOf(wanted));
    Set<DeviceRequest> before =
        request.vms().stream().flatMap(v -> v.devices().stream()).collect(Collectors.toSet());
    for (VmRequest vm : candidate.request().vms()) {
      vm.devices().stream().filter(d -> !before.contains(d)).forEach(d -> groups.add(groupOf(d)));
    }
    List<VmRequest> vms = new ArrayList<>();
    for (VmRequest vm : candidate.request().vms()) {
      List<DeviceRequest> touched =
          vm.devices().stream()
              .filter(d -> groups.contains(groupOf(d)) || groupOf(d).isEmpty())
              .toList();
      if (!touched.isEmpty()) {
        vms.add(vm.memory().isPresent() ? vm : vm.with(touched));
      }
    }
    return new Candidate(
        candidate.family(),
        candidate.text(),
        new Request(request.source(), request.host(), vms),
        candidate.host(),
        candidate.options());
  }

  private Optional<Integer> groupOf(DeviceRequest device) {
    return PciAddress.tryParse(device.device()).flatMap(host::groupOf).map(g -> g.id());
  }
}
