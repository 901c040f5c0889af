// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

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
   * The addresses, each once; whether there is such a device is not asked.
   *
   * @throws BadInputException for what is no address
   */
  static List<PciAddress> addresses(List<String> words) {
    return words.stream()
        .map(
            word ->
                PciAddress.tryParse(word)
                    .orElseThrow(
                        () ->
                            new BadInputException(
                                word, 0, "", "is no PCI address, as in 0000:01:00.0")))
        .distinct()
        .toList();
  }

  /**
   * Does nothing where this machine has all of these.
   *
   * @throws BadInputException for the first that it has not
   */
  void require(List<PciAddress> addresses) {
    for (PciAddress address : addresses) {
      if (host.function(address).isEmpty()) {
        throw new BadInputException(
            address.toString(), 0, "", "is no device of this machine; see 'vfio host'");
      }
    }
  }
}
