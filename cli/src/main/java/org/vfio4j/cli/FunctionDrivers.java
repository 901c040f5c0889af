// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.vfio.DriverKind;

/**
 * Functions that are to be served, and the drivers that they have: VFIO's, or others that are to
 * give way.
 */
record FunctionDrivers(HostTopology host, List<PciAddress> functions) {
  /** Of all functions of these VMs. */
  static FunctionDrivers of(HostTopology host, Collection<Plug> plugs) {
    return new FunctionDrivers(
        host,
        plugs.stream()
            .flatMap(p -> p.source() instanceof Plug.Function f ? Stream.of(f) : Stream.empty())
            .map(f -> PciAddress.parse(f.address()))
            .distinct()
            .toList());
  }

  /** Those that VFIO has not. */
  List<String> others() {
    return functions.stream().filter(f -> !vfioHas(f)).map(PciAddress::toString).toList();
  }

  /** All of them, as the kernel writes them. */
  List<String> names() {
    return functions.stream().map(PciAddress::toString).toList();
  }

  /**
   * Does nothing if VFIO has all of them.
   *
   * @throws RefusedException for the first that another has
   */
  void require() {
    for (PciAddress address : functions) {
      if (!vfioHas(address)) {
        throw new RefusedException(
            "%s is with %s: bind it with 'vfio bind %s', or add --bind"
                .formatted(
                    address,
                    driver(address).map(d -> "the driver " + Text.printable(d)).orElse("no driver"),
                    address));
      }
    }
  }

  private Optional<String> driver(PciAddress address) {
    return host.function(address).map(PciFunction::driver).flatMap(d -> d.value());
  }

  private boolean vfioHas(PciAddress address) {
    return driver(address).filter(d -> DriverKind.of(d, false).registersWithVfio()).isPresent();
  }
}
