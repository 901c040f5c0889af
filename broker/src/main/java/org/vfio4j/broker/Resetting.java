// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.vfio.Vfio;

/**
 * How a function can be reset: by itself, or with its bus where everything that this reaches is the
 * same VM's.
 *
 * @param iommu whose groups they are
 * @param device its control descriptor
 * @param address of it
 * @param function whether it can be reset by itself
 */
record Resetting(LinuxIommu iommu, DeviceCalls device, String address, boolean function) {
  static Resetting of(LinuxIommu iommu, DeviceCalls device, String address) {
    boolean function = (device.info().flags() & ServedDevice.RESET) != 0;
    return new Resetting(iommu, device, address, function);
  }

  /** Whether there is a way now: what shares the bus may change hands. */
  boolean possible() {
    return function || !together().isEmpty();
  }

  /** The functions that a reset reaches, this one among them; empty if there is no way. */
  Set<String> together() {
    if (function) {
      return Set.of(address);
    }
    return iommu.resetsTogether(device, address).stream()
        .map(Vfio.Dependent::address)
        .collect(Collectors.toUnmodifiableSet());
  }

  /**
   * Resets it.
   *
   * @throws org.vfio4j.error.VfioException EPERM without a way, and what the kernel answers
   */
  void reset() {
    if (function) {
      device.reset();
    } else {
      iommu.hotReset(device, address);
    }
  }
}
