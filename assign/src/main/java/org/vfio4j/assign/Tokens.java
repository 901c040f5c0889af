// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.vfio.DriverKind;

/**
 * Tokens of physical functions that vfio-pci has and that no VM of the request asks for: some other
 * user has such a function and has set its token, which no source says. The first that a VM gives
 * for one of its virtual functions is taken for the right one.
 */
final class Tokens {
  private Tokens() {}

  static Map<PciAddress, UUID> of(Request request, HostTopology host) {
    Map<PciAddress, UUID> taken = new LinkedHashMap<>();
    for (VmRequest vm : request.vms()) {
      for (DeviceRequest device : vm.devices()) {
        device
            .token()
            .ifPresent(
                token ->
                    physical(device, host)
                        .filter(pf -> onVfio(pf) && holder(request, pf.address()).isEmpty())
                        .ifPresent(pf -> taken.putIfAbsent(pf.address(), token)));
      }
    }
    return taken;
  }

  /** The physical function of the one that is asked for, where that is a virtual one. */
  static Optional<PciFunction> physical(DeviceRequest device, HostTopology host) {
    return PciAddress.tryParse(device.device())
        .flatMap(host::function)
        .flatMap(f -> f.physicalFunction().value())
        .flatMap(host::function);
  }

  private static boolean onVfio(PciFunction function) {
    return function.driver().value().filter(DriverKind::offers).isPresent();
  }

  /** The VM that asks for the function whole. */
  static Optional<VmRequest> holder(Request request, PciAddress function) {
    return request.vms().stream().filter(vm -> request(vm, function).isPresent()).findFirst();
  }

  /** How the VM asks for the function whole. */
  static Optional<DeviceRequest> request(VmRequest vm, PciAddress function) {
    return vm.devices().stream()
        .filter(d -> d.mode() == Mode.WHOLE && d.device().equals(function.toString()))
        .findFirst();
  }
}
