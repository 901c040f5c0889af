// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;

/**
 * Gives the verdict on a request. It comes from running the request on the engine, as QEMU would on
 * the host; there is no second set of rules.
 */
public final class Check {
  private Check() {}

  /**
   * What will happen.
   *
   * @throws org.vfio4j.host.BadInputException if the request names a device that the host has not
   */
  public static Verdict verdict(Request request, HostTopology host, Options options) {
    checkDevices(request, host);
    List<VmVerdict> plain = new Run(request, host, options).verdicts();
    List<Assumption> assumed = Assumptions.of(request, host);
    boolean refused =
        plain.stream().flatMap(v -> v.devices().stream()).anyMatch(DeviceVerdict::refused);
    if (!refused) {
      return options.strict() && !assumed.isEmpty()
          ? new Verdict.Refused(plain, assumed, true)
          : new Verdict.Admitted(plain, assumed);
    }
    Fixes fixes = new Fixes(request, host, options, plain);
    List<VmVerdict> explained = new ArrayList<>();
    for (VmVerdict vm : plain) {
      List<DeviceVerdict> devices =
          vm.devices().stream()
              .map(d -> d.refused() ? d.withFixes(fixes.of(vm.name(), d)) : d)
              .toList();
      explained.add(new VmVerdict(vm.name(), vm.lockedBytes(), devices));
    }
    return new Verdict.Refused(explained, assumed, false);
  }

  private static void checkDevices(Request request, HostTopology host) {
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        boolean there =
            device.mode() == Mode.MDEV
                ? host.mdev(UUID.fromString(device.device())).isPresent()
                : host.function(PciAddress.parse(device.device())).isPresent();
        if (!there) {
          throw device
              .at()
              .error("host %s has no device %s".formatted(host.name(), device.device()));
        }
        bridge(device, host)
            .ifPresent(
                message -> {
                  throw device.at().error(message);
                });
      }
    }
  }

  /** A bridge is nobody's to give away; VFIO takes none. */
  private static Optional<String> bridge(DeviceRequest device, HostTopology host) {
    return PciAddress.tryParse(device.device())
        .flatMap(host::function)
        .filter(f -> f.isBridge().orElse(false))
        .map(f -> f.address() + " is a bridge: it cannot be given to a VM");
  }
}
