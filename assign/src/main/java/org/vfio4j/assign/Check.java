// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
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
   * @throws BadInputException if the request names a device that the host has not, or a running VM
   *     a group that it has not; with the place, where the request was read from a file
   */
  public static Verdict verdict(Request request, HostTopology host, Options options) {
    return verdict(request, host, options, Progress.NONE);
  }

  /**
   * The same, telling how far it is; see {@link #verdict(Request, HostTopology, Options)}.
   *
   * @param progress told after each VM, twice where fixes are looked for
   */
  public static Verdict verdict(
      Request request, HostTopology host, Options options, Progress progress) {
    checkDevices(request, host);
    Standing standing = Standing.of(request, host);
    List<Assumption> assumed = new ArrayList<>(Assumptions.of(request, standing.host()));
    assumed.addAll(standing.assumed());
    return verdict(request, standing.host(), options, assumed, progress);
  }

  private static Verdict verdict(
      Request request,
      HostTopology host,
      Options options,
      List<Assumption> assumed,
      Progress progress) {
    String kernel = options.profileFor(host).name();
    List<VmVerdict> plain = new Run(request, host, options, Set.of(), progress).verdicts();
    boolean refused =
        plain.stream().flatMap(v -> v.devices().stream()).anyMatch(DeviceVerdict::refused);
    if (!refused) {
      return options.strict() && !assumed.isEmpty()
          ? new Verdict.Refused(plain, assumed, kernel, true)
          : new Verdict.Admitted(plain, assumed, kernel);
    }
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
    return new Verdict.Refused(explained, assumed, kernel, false);
  }

  private static void checkDevices(Request request, HostTopology host) {
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        boolean there =
            device.mode() == Mode.MDEV
                ? host.mdev(UUID.fromString(device.device())).isPresent()
                : host.function(PciAddress.parse(device.device())).isPresent();
        if (!there) {
          throw error(
              request,
              vm,
              device,
              "host %s has no device %s".formatted(host.name(), device.device()));
        }
        bridge(device, host)
            .ifPresent(
                message -> {
                  throw error(request, vm, device, message);
                });
      }
    }
  }

  private static BadInputException error(
      Request request, VmRequest vm, DeviceRequest device, String message) {
    return device
        .at()
        .map(at -> at.error(message))
        .orElseGet(
            () ->
                new BadInputException(
                    request.source(),
                    0,
                    "vms.%s.devices[%d]".formatted(vm.name(), vm.devices().indexOf(device)),
                    message));
  }

  /** A bridge is nobody's to give away; VFIO takes none. */
  private static Optional<String> bridge(DeviceRequest device, HostTopology host) {
    return PciAddress.tryParse(device.device())
        .flatMap(host::function)
        .filter(f -> f.isBridge().orElse(false))
        .map(f -> f.address() + " is a bridge: it cannot be given to a VM");
  }
}
