// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.linux.bind.DriverBinding;
import org.vfio4j.linux.bind.VfioPresence;
import org.vfio4j.posix.SystemCalls;

/** The machine that the command runs on: its devices and who drives them. */
record LocalDevices(HostTopology host, DriverBinding binding) {

  /**
   * This machine.
   *
   * @throws BadInputException if it has no IOMMU, with what to enable
   */
  static LocalDevices ofThisMachine() {
    requireIommu();
    return new LocalDevices(HostSource.live(), DriverBinding.ofThisMachine(SystemCalls.libc()));
  }

  /**
   * Does nothing where there are IOMMU groups.
   *
   * @throws BadInputException with what to enable
   */
  static void requireIommu() {
    Optional<String> missing = VfioPresence.ofThisMachine().missingIommu();
    if (missing.isPresent()) {
      throw new BadInputException("linux", 0, "", missing.get());
    }
  }

  /**
   * The addresses as the kernel writes them.
   *
   * @throws BadInputException for what is no address, or no device of this machine
   */
  List<PciAddress> parse(List<String> words) {
    List<PciAddress> addresses = new ArrayList<>();
    for (String word : words) {
      PciAddress address =
          PciAddress.tryParse(word)
              .orElseThrow(
                  () ->
                      new BadInputException(word, 0, "", "is no PCI address, as in 0000:01:00.0"));
      if (host.function(address).isEmpty()) {
        throw new BadInputException(word, 0, "", "is no device of this machine; see 'vfio host'");
      }
      if (!addresses.contains(address)) {
        addresses.add(address);
      }
    }
    return addresses;
  }
}
