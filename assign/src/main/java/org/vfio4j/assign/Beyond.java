// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevIsolation;
import org.vfio4j.host.MdevOffers;

/**
 * Something that a request asks for and no Linux does: the engine answers for it by its own rules.
 *
 * @param vm the VM that asks
 * @param device what it asks for
 * @param message what Linux lacks, one sentence
 */
public record Beyond(String vm, DeviceRequest device, String message) {

  /** What of a request no Linux does, in its order. */
  static List<Beyond> of(Request request, HostTopology host) {
    List<Beyond> found = new ArrayList<>();
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        message(device, host).ifPresent(m -> found.add(new Beyond(vm.name(), device, m)));
      }
    }
    return found;
  }

  private static Optional<String> message(DeviceRequest device, HostTopology host) {
    return switch (device.mode()) {
      case WHOLE -> Optional.empty();
      case WRAPPED ->
          Optional.of(
              "no Linux can wrap %s: vfio-mdev-pci, the driver for it, was never merged"
                  .formatted(device.device()));
      case AUX ->
          Optional.of(
              "no driver of Linux offers a mediated device on an aux domain of %s, and Linux 5.18"
                      .formatted(device.device())
                  + " has dropped them");
      case EMULATED ->
          host.mdevParent(device.device()).isEmpty()
              ? Optional.of(
                  "the host shows no types of mediated devices of %s: its driver offers none there"
                      .formatted(device.device()))
              : ofParent(device.device(), host);
      case MDEV -> new DefinedMdevs(host).parent(device).flatMap(parent -> ofParent(parent, host));
    };
  }

  private static Optional<String> ofParent(String parent, HostTopology host) {
    return host.mdevParent(parent)
        .flatMap(MdevOffers::isolation)
        .filter(i -> i != MdevIsolation.PLAIN)
        .map(
            i ->
                "no driver of Linux isolates the mediated devices of %s by the IOMMU, as the host"
                        .formatted(parent)
                    + " says of it");
  }
}
