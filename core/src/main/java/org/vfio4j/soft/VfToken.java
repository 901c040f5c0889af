// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.vfio.DriverKind;

/**
 * The token that a virtual function's user has to know where vfio-pci has the physical function
 * ({@code vfio_pci_validate_vf_token}). Nobody can set one on a machine in software: any is wrong.
 */
final class VfToken {
  private static final String OPTION = "vf_token=";

  private VfToken() {}

  /**
   * Checks what stands behind a device's name.
   *
   * @throws VfioException EACCES if its physical function wants a token, EINVAL for an option that
   *     is not wanted or not known
   */
  static void check(SoftMachine machine, Device device, String option) {
    Optional<String> physical =
        device instanceof SoftFunction f ? f.physicalFunction() : Optional.empty();
    boolean wanted =
        physical
            .filter(pf -> machine.device(pf).isPresent())
            .flatMap(machine::driver)
            .filter(DriverKind::offers)
            .isPresent();
    boolean given = option.startsWith(OPTION);
    if (wanted) {
      throw new VfioException(
          Errno.EACCES,
          Reason.VF_TOKEN,
          "%s is a virtual function of %s, which is on vfio-pci: the token is %s"
              .formatted(device.name(), physical.orElseThrow(), given ? "wrong" : "missing"),
          device.name());
    }
    if (!option.isEmpty()) {
      throw new VfioException(
          Errno.EINVAL, Reason.BAD_ARGUMENT, device.name() + " takes no option", device.name());
    }
  }
}
