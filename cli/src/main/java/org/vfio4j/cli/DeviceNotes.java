// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.host.Fact;
import org.vfio4j.host.FunctionSign;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevOffers;
import org.vfio4j.host.MdevType;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.host.Vgpu;

/** What is worth saying about a function beside its ids, class and driver. */
final class DeviceNotes {

  /** Base classes of what belongs to the platform: nobody asks whether it can be reset. */
  private static final Set<Integer> PLATFORM = Set.of(0x05, 0x06, 0x08, 0x11, 0xff);

  private final HostTopology host;
  private final Map<PciAddress, MdevOffers> parents = new HashMap<>();
  private final Map<PciAddress, List<Mdev>> mdevs;

  DeviceNotes(HostTopology host) {
    this.host = host;
    host.mdevParents().forEach(p -> p.address().ifPresent(a -> parents.put(a, p)));
    this.mdevs =
        host.mdevs().stream()
            .filter(m -> m.parentAddress().isPresent())
            .collect(Collectors.groupingBy(m -> m.parentAddress().orElseThrow()));
  }

  /** The notes, the weightiest first. */
  List<String> of(PciFunction function) {
    List<String> notes = new ArrayList<>();
    for (Role role : host.rolesOf(function.address())) {
      notes.add(Words.of(role).toUpperCase(Locale.ROOT));
    }
    notes.addAll(host.roles().because(function.address()));
    if (function.signs().contains(FunctionSign.NO_ANSWER)) {
      notes.add("does not answer");
    }
    if (function.signs().contains(FunctionSign.BAR_HELD)) {
      notes.add("a BAR is held by the host");
    }
    if (function.rmrrLocked().orElse(false)) {
      notes.add("locked by firmware (RMRR)");
    } else if (!function.identityMaps().isEmpty()) {
      notes.add("firmware maps memory for it (RMRR)");
    }
    function.physicalFunction().value().ifPresent(pf -> notes.add("VF of " + pf));
    function
        .numVfs()
        .filter(n -> n > 0)
        .ifPresent(
            n ->
                notes.add(
                    "PF, " + n + function.totalVfs().map(t -> " of " + t).orElse("") + " VFs on"));
    addMdevs(function, notes);
    function.vgpu().ifPresent(v -> notes.add(vgpu(v)));
    boolean wanted = function.classCode().map(c -> !PLATFORM.contains(c.base())).orElse(true);
    if (wanted && !function.resettable().orElse(true)) {
      notes.add("no reset");
    }
    return notes.stream().map(Text::printable).toList();
  }

  private void addMdevs(PciFunction function, List<String> notes) {
    MdevOffers parent = parents.get(function.address());
    if (parent != null) {
      notes.add(
          "offers mdevs: "
              + parent.types().stream().map(DeviceNotes::offer).collect(Collectors.joining(", ")));
    }
    for (Mdev mdev : mdevs.getOrDefault(function.address(), List.of())) {
      notes.add("mdev " + mdev.uuid() + mdev.group().map(g -> " in group " + g).orElse(""));
    }
    long defined =
        host.mdevDefinitions().stream()
            .filter(d -> d.parent().equals(function.address().toString()))
            .count();
    if (defined > 0) {
      notes.add(Text.count(defined, "mdev") + " defined");
    }
  }

  private static String vgpu(Vgpu vgpu) {
    String made =
        vgpu.creatable().map(l -> ", can be of " + Text.count(l.size(), "type")).orElse("");
    return switch (vgpu.current()) {
      case Fact.Known<Integer>(Integer type) -> "vGPU of type " + type;
      case Fact.None<Integer> _ -> "vGPU without a type" + made;
      case Fact.Unknown<Integer> _ -> "vGPU, its type is not known";
    };
  }

  private static String offer(MdevType type) {
    return type.id() + type.availableInstances().map(n -> " (" + n + " left)").orElse("");
  }
}
