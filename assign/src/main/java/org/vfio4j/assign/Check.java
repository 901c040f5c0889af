// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/**
 * Gives the verdict on a request. It comes from running the request on the engine, as QEMU would on
 * the host; there is no second set of rules.
 */
public final class Check {
  private Check() {}

  /**
   * What will happen.
   *
   * @param request which VM gets which devices, and what runs on the host already
   * @param host the host; what runs counts where the two contradict each other
   * @param options how to check
   * @throws BadInputException if a running VM has a group that the host has not, or a driver is
   *     named for a function that it has not; with the place, where the request was read from a
   *     file. A device that a VM asks for and the host has not is a verdict of its own.
   */
  public static Verdict verdict(Request request, HostTopology host, Options options) {
    return verdict(request, host, options, Progress.NONE);
  }

  /**
   * The same, telling how far it is; see {@link #verdict(Request, HostTopology, Options)}.
   *
   * @param asked which VM gets which devices, and what runs on the host already
   * @param progress told after each VM, twice where fixes are looked for
   */
  public static Verdict verdict(
      Request asked, HostTopology host, Options options, Progress progress) {
    Request request = asked.unwrapped(host);
    HostTopology bound = request.bound(host);
    Standing standing = Standing.of(request, bound);
    List<Assumption> assumed = new ArrayList<>(Assumptions.of(request, standing.host()));
    assumed.addAll(standing.assumed());
    assumed.addAll(request.leftOut());
    Findings plain =
        new Findings(
            host.name(),
            options.kernelFor(host),
            new Run(request, standing.host(), options, Set.of(), progress).verdicts(),
            assumed,
            Beyond.of(request, standing.host()),
            Warnings.of(request, standing.host(), options));
    boolean refused =
        plain.vms().stream().flatMap(v -> v.devices().stream()).anyMatch(DeviceVerdict::refused);
    if (refused) {
      return new Verdict.Refused(
          plain.with(explained(request, standing.host(), options, plain.vms(), progress)),
          Set.of());
    }
    Set<Verdict.Strictness> strictly = strictly(plain, options);
    return strictly.isEmpty() ? new Verdict.Admitted(plain) : new Verdict.Refused(plain, strictly);
  }

  private static Set<Verdict.Strictness> strictly(Findings findings, Options options) {
    Set<Verdict.Strictness> strictly = EnumSet.noneOf(Verdict.Strictness.class);
    if (options.strict() && !findings.assumed().isEmpty()) {
      strictly.add(Verdict.Strictness.ASSUMED);
    }
    if (options.strict() && !findings.beyond().isEmpty()) {
      strictly.add(Verdict.Strictness.BEYOND_LINUX);
    }
    return strictly;
  }

  private static List<VmVerdict> explained(
      Request request,
      HostTopology host,
      Options options,
      List<VmVerdict> plain,
      Progress progress) {
    Fixes fixes = new Fixes(request, host, options, plain);
    List<VmVerdict> explained = new ArrayList<>();
    for (int i = 0; i < plain.size(); i++) {
      VmVerdict vm = plain.get(i);
      VmRequest asked = request.vms().get(i);
      List<DeviceVerdict> devices =
          vm.devices().stream()
              .map(d -> d.refused() ? d.withFixes(fixes.of(asked, d)) : d)
              .toList();
      progress.at("looking for fixes", i, plain.size());
      explained.add(new VmVerdict(vm.name(), vm.lockedBytes(), devices));
    }
    return explained;
  }
}
