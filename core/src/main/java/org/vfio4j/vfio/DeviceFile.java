// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;

/** A device that somebody has open: what GET_DEVICE_FD gives. */
public interface DeviceFile extends AutoCloseable {
  /** DEVICE_GET_INFO. */
  Vfio.DeviceInfo info();

  /** DEVICE_RESET. EINVAL if the device has no way to be reset. */
  void reset();

  /**
   * DEVICE_GET_PCI_HOT_RESET_INFO. ENODEV where neither slot nor bus can be reset, EPERM where a
   * function on it is in no IOMMU group.
   */
  List<Vfio.Dependent> hotResetInfo();

  /** The first four bytes of config space, vendor in the low half. */
  int readConfig();

  /** Closes it. Cannot fail. */
  @Override
  void close();
}
