// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/** A device as the IOMMU core sees it: a name and the bus it sits on. */
public interface Device {
  /** The kernel's name: a PCI address such as {@code 0000:01:00.0}, or a mediated device's UUID. */
  String name();

  /** The bus. */
  Bus bus();

  /** The buses VFIO knows here. */
  enum Bus {
    PCI,
    MDEV,
    PLATFORM
  }
}
