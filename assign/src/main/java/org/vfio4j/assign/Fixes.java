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

/**
 * Finds what to change so that a refused device is had. Every candidate is applied to the request
 * or the host and run on the engine; only what works, refuses nothing else, and takes nothing from
 * anybody else is said.
 */
final class Fixes {
  /** Candidates that work and are shown, for one device. */
  private static final int SHOWN = 3;

  /**
   * What decides which fixes there are for a device: VMs that ask for the same and are refused in
   * the same way, after the same others, have the same ones.
   */
  private record Case(
      Object wish, DeviceRequest wanted, DeviceRefusal refusal, int position, boolean active) {}

  /** The fixes of a case, as they are for the VM that came first. */
  private record Known(String vm, List<Fix> fixes) {}

  private final Trials trials;
  private final Candidates candidates;
  private final Map<Case, Known> known = new HashMap<>();

  Fixes(Request request, HostTopology host, Options options, List<VmVerdict> verdicts) {
    this.trials = new Trials(request, host, options, verdicts);
    this.candidates = new Candidates(request, host);
  }

  /** What to change for a refused device of a VM: at most three ways, the least intrusive first. */
  List<Fix> of(VmRequest vm, DeviceVerdict device) {
    DeviceRefusal refusal = device.refusal().orElseThrow();
    Case same =
        new Case(
            trials.wish(vm),
            device.request(),
            refusal,
            trials.position(vm.name()),
            trials.isActive(vm.name()));
    Known found = known.get(same);
    if (found == null) {
      found = new Known(vm.name(), found(vm.name(), device, refusal));
      known.put(same, found);
    }
    String first = found.vm();
    return first.equals(vm.name())
        ? found.fixes()
        : found.fixes().stream().map(f -> f.renamed(first, vm.name())).toList();
  }

  private List<Fix> found(String vm, DeviceVerdict device, DeviceRefusal refusal) {
    List<Fix> working = new ArrayList<>();
    Set<Object> families = new HashSet<>();
    for (Fix fix : candidates.of(vm, device, refusal)) {
      if (working.size() == SHOWN) {
        break;
      }
      if (!families.contains(family(fix))) {
        whatHelps(fix, vm, device)
            .ifPresent(
                f -> {
                  families.add(family(fix));
                  working.add(f);
                });
      }
    }
    if (working.isEmpty()) {
      Fix without = candidates.without(vm, device.request());
      if (trials.helps(without, vm, device.request())) {
        working.add(without);
      }
    }
    return working;
  }

  /** The change, or the change and another one where it alone leads to the next refusal. */
  private Optional<Fix> whatHelps(Fix fix, String vm, DeviceVerdict device) {
    return switch (trials.of(fix, vm, device.request())) {
      case Trials.Outcome.Helps _ -> Optional.of(fix);
      case Trials.Outcome.HelpsNot _ -> Optional.empty();
      case Trials.Outcome.HelpsInPart(DeviceVerdict left) ->
          candidates.of(vm, left, left.refusal().orElseThrow()).stream()
              .filter(second -> !(second instanceof Fix.AskFor))
              .<Fix>map(second -> new Fix.Together(List.of(fix, second)))
              .filter(both -> trials.helps(both, vm, device.request()))
              .findFirst();
    };
  }

  /** Of several that do the same thing, only the first that works is said. */
  private static Object family(Fix fix) {
    return switch (fix) {
      case Fix.LessMemory _, Fix.AskFor _ -> fix.getClass();
      default -> fix;
    };
  }
}
