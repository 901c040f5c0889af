// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;

/**
 * The name GET_DEVICE_FD takes: a device of the group, and for some virtual functions a token,
 * which the {@link Machine} checks.
 */
final class DeviceName {
  private DeviceName() {}

  /**
   * The group's device of that name ({@code vfio_pci_core_match}).
   *
   * @throws VfioException ENODEV if it is not there or on its way out, EACCES if its physical
   *     function wants a token, EINVAL for an option that is not wanted or not known
   */
  static Device find(Machine machine, VfioGroup group, String asked) {
    int space = asked.indexOf(' ');
    String name = space < 0 ? asked : asked.substring(0, space);
    String option = space < 0 ? "" : asked.substring(space + 1).strip();
    Device device =
        group.devices.stream()
            .filter(d -> d.name().equals(name))
            .findFirst()
            .orElseThrow(
                () ->
                    new VfioException(
                        Errno.ENODEV,
                        Reason.DEVICE_NOT_IN_GROUP,
                        "VFIO group %d offers no device %s".formatted(group.group.id(), name),
                        name));
    machine.checkOption(device, option);
    return device;
  }
}
