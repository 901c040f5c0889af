// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import org.vfio4j.iommu.Device;

/** What a descriptor of a process refers to. */
sealed interface OpenFile {
  /** {@code /dev/vfio/vfio}. */
  record OfContainer(VfioContainer container) implements OpenFile {}

  /** {@code /dev/vfio/N}. */
  record OfGroup(VfioGroup group) implements OpenFile {}

  /** What GET_DEVICE_FD gives. */
  record OfDevice(VfioGroup group, Device device, DeviceFile file) implements OpenFile {}

  /** Anything else. */
  record Other(String path) implements OpenFile {}
}
