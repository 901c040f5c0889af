// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.user.device.ServedDevice;

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
    return function || iommu.hotResettable(device, address);
  }

  /**
   * Resets it.
   *
   * @throws org.vfio4j.error.VfioException EINVAL without a way, and what the kernel answers
   */
  void reset() {
    if (function) {
      device.reset();
    } else {
      iommu.hotReset(device, address);
    }
  }
}
