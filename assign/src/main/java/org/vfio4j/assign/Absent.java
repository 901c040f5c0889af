// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.vfio.DriverKind;

/** What a request names and a host has not, or has for nobody. */
final class Absent {
  private Absent() {}

  static boolean isBadInput(RefusalCode code) {
    return code == RefusalCode.Host.NO_SUCH_DEVICE || code == RefusalCode.Host.BRIDGE;
  }

  /** Why it cannot be asked for, with its place where it was read from a file. */
  static Optional<DeviceRefusal> refusal(
      Request request, HostTopology host, VmRequest vm, DeviceRequest device) {
    Optional<PciFunction> function =
        device.mode() == Mode.MDEV
            ? Optional.empty()
            : host.function(PciAddress.parse(device.device()));
    boolean there =
        device.mode() == Mode.MDEV
            ? new DefinedMdevs(host).parent(device).isPresent()
            : function.isPresent();
    if (!there) {
      return Optional.of(
          refusal(
              RefusalCode.Host.NO_SUCH_DEVICE,
              placed(
                  request,
                  vm,
                  device,
                  "host %s has no device %s%s"
                      .formatted(host.name(), device.device(), why(host, device)))));
    }
    Optional<DeviceRefusal> undone = new DefinedMdevs(host).refusal(device);
    if (undone.isPresent()) {
      return undone;
    }
    // A bridge is nobody's to give away; VFIO takes none.
    return function
        .filter(f -> f.isBridge().orElse(false))
        .map(
            f ->
                refusal(
                    RefusalCode.Host.BRIDGE,
                    placed(
                        request,
                        vm,
                        device,
                        f.address() + " is a bridge: it cannot be given to a VM")));
  }

  /** A virtual function is there as long as its physical function's driver has switched it on. */
  private static String why(HostTopology host, DeviceRequest device) {
    Optional<PciAddress> address = PciAddress.tryParse(device.device());
    Optional<PciFunction> first =
        address
            .map(a -> new PciAddress(a.domain(), a.bus(), a.device(), 0))
            .flatMap(host::function)
            .filter(f -> !f.isVirtual().orElse(false) && f.totalVfs().orElse(1) > 0);
    if (first.isEmpty()) {
      return "";
    }
    PciFunction physical = first.get();
    if (physical.driver().value().filter(DriverKind::offers).isPresent()) {
      return ("; if it is a virtual function of %s: that is on %s, and its virtual functions are"
              + " made by its own driver (sriov_numvfs), to which it has to go back first")
          .formatted(physical.address(), physical.driver().value().orElse(""));
    }
    return physical.totalVfs().isPresent() && physical.numVfs().orElse(0) == 0
        ? "; the virtual functions of %s are switched off (sriov_numvfs)"
            .formatted(physical.address())
        : "";
  }

  private static String placed(
      Request request, VmRequest vm, DeviceRequest device, String message) {
    BadInputException placed =
        device
            .at()
            .map(at -> at.error(message))
            .orElseGet(
                () ->
                    new BadInputException(
                        request.source(),
                        0,
                        "vms.%s.devices[%d]".formatted(vm.name(), vm.devices().indexOf(device)),
                        message));
    return String.valueOf(placed.getMessage());
  }

  private static DeviceRefusal refusal(RefusalCode code, String message) {
    return new DeviceRefusal(
        Optional.empty(), code, "look up", message, Optional.empty(), List.of());
  }
}
