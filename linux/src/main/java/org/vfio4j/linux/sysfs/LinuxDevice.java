// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import org.vfio4j.iommu.Device;

/**
 * A device of this machine, by the name its bus gives it.
 *
 * @param name a PCI address such as {@code 0000:01:00.0}, or another bus's name
 * @param bus the bus it sits on
 */
public record LinuxDevice(String name, Bus bus) implements Device {
  /** A PCI function. */
  public static LinuxDevice pci(String address) {
    return new LinuxDevice(address, Bus.PCI);
  }
}
