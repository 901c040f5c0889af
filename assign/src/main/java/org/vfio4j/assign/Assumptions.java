// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Loss;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;

/** What a source leaves open that a verdict on a request rests on. */
final class Assumptions {
  private static final int MAX_LOSSES = 5;

  private final HostTopology host;
  private final Set<Assumption> found = new LinkedHashSet<>();

  private Assumptions(HostTopology host) {
    this.host = host;
  }

  static List<Assumption> of(Request request, HostTopology host) {
    Assumptions assumptions = new Assumptions(host);
    assumptions.ofHost(request);
    Set<Integer> groups = new TreeSet<>();
    Set<PciAddress> requested = new TreeSet<>();
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        assumptions.ofDevice(device);
        assumptions.found.addAll(new DefinedMdevs(host).assumed(device));
        PciAddress.tryParse(device.device())
            .filter(a -> device.mode() == Mode.WHOLE || device.mode() == Mode.WRAPPED)
            .ifPresent(
                address -> {
                  requested.add(address);
                  host.groupOf(address).map(HostGroup::id).ifPresent(groups::add);
                });
      }
    }
    for (int id : groups) {
      assumptions.ofGroup(id, requested);
    }
    Tokens.of(request, host)
        .forEach(
            (pf, token) ->
                assumptions.add(pf.toString(), "the token that its user has set", "" + token));
    assumptions.ofGpus(request);
    assumptions.ofLosses();
    return new ArrayList<>(assumptions.found);
  }

  /** The types that can be made are those of now: a first virtual GPU leaves less for a second. */
  private void ofGpus(Request request) {
    Map<PciAddress, Set<PciAddress>> choosing = new TreeMap<>();
    request.vms().stream()
        .flatMap(vm -> vm.devices().stream())
        .filter(d -> d.mode() == Mode.WHOLE)
        .flatMap(d -> PciAddress.tryParse(d.device()).flatMap(host::function).stream())
        .filter(f -> f.offeredByVendor() && f.vgpu().orElseThrow().current().isNone())
        .forEach(
            f ->
                f.physicalFunction()
                    .value()
                    .ifPresent(
                        gpu ->
                            choosing.computeIfAbsent(gpu, _ -> new TreeSet<>()).add(f.address())));
    choosing.forEach(
        (gpu, functions) -> {
          if (functions.size() > 1) {
            String what = "whether %d more vGPUs fit on it".formatted(functions.size());
            add(gpu.toString(), what, "they do");
          }
        });
  }

  /** What the source says and could not be read is taken for nothing. */
  private void ofLosses() {
    List<Loss> losses = host.losses();
    for (Loss loss : losses.subList(0, Math.min(MAX_LOSSES, losses.size()))) {
      String what = "what this says, " + loss.reason().sentence() + ": '" + loss.text() + "'";
      String where = loss.line() == 0 ? "the source" : "line " + loss.line() + " of the source";
      add(where, what, "nothing");
    }
    if (losses.size() > MAX_LOSSES) {
      add("the source", "what " + (losses.size() - MAX_LOSSES) + " more lines say", "nothing");
    }
  }

  private void ofHost(Request request) {
    if (host.iommu().interruptRemapping().isEmpty()) {
      add("host", "interrupt remapping", "on");
    }
    boolean memory = request.vms().stream().anyMatch(v -> v.memory().isPresent());
    if (memory && host.iommu().addressWidth().isEmpty()) {
      add("host", "width of an IOVA", "48 bits");
    }
    Set<Role> open = open(request);
    for (Role role : Role.values()) {
      boolean first = role.compareTo(Role.CONSOLE) <= 0 && host.roles().of(role).isEmpty();
      if (first || open.contains(role)) {
        String what =
            switch (role) {
              case BOOT_DISK -> "which function carries the boot disk";
              case MANAGEMENT_NETWORK -> "which function carries the management network";
              case CONSOLE -> "which function is the console";
              case STORAGE -> "which functions carry other disks in use";
              case NETWORK -> "which functions carry other networks in use";
            };
        add("host", what, "none of those requested");
      }
    }
  }

  /** The roles that a requested function may have without the source saying so. */
  private Set<Role> open(Request request) {
    Set<Role> open = EnumSet.noneOf(Role.class);
    request.vms().stream()
        .flatMap(v -> v.devices().stream())
        .filter(d -> d.mode() == Mode.WHOLE || d.mode() == Mode.WRAPPED)
        .flatMap(d -> PciAddress.tryParse(d.device()).flatMap(host::function).stream())
        .forEach(f -> open.addAll(host.roles().openFor(f)));
    return open;
  }

  private void ofGroup(int id, Set<PciAddress> requested) {
    HostGroup group = host.group(id).orElseThrow();
    if (group.reservedRegions().isEmpty()) {
      add("group " + id, "reserved regions", "the MSI window of x86, no firmware mappings");
    }
    for (PciFunction member : host.members(id)) {
      boolean matters = !requested.contains(member.address()) && !member.isBridge().orElse(false);
      if (matters && member.driver().isUnknown()) {
        add(member.address().toString(), "driver", "one of the host's own");
      }
    }
  }

  private void ofDevice(DeviceRequest device) {
    PciAddress.tryParse(device.device())
        .flatMap(host::function)
        .filter(f -> device.mode() == Mode.WHOLE && f.offeredByVendor())
        .filter(f -> f.vgpu().filter(v -> v.current().isUnknown()).isPresent())
        .ifPresent(f -> add(device.device(), "whether it has a vGPU type", "it has"));
    boolean made = device.mode() == Mode.AUX || device.mode() == Mode.EMULATED;
    if (made && host.mdevParent(device.device()).isEmpty()) {
      String kind = device.mode() == Mode.AUX ? "aux domains" : "mediated devices";
      add(device.device(), "whether its driver offers " + kind, "offered");
    } else if (made && host.mdevParent(device.device()).flatMap(p -> p.isolation()).isEmpty()) {
      add(device.device(), "what isolates its mediated devices", "its driver");
    }
  }

  private void add(String subject, String unknown, String taken) {
    found.add(new Assumption(subject, unknown, taken));
  }
}
