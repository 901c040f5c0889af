// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.Set;

/** What a function's driver means for VFIO. */
enum DriverKind {
  /** Offers the function to user space. */
  VFIO,
  /** Does nothing with it: viable, not usable. */
  STUB,
  /** Wraps the function as a parent of mediated devices, and stands in its group for viability. */
  WRAPPER,
  /** Does DMA for the host. */
  HOST;

  /** The name of the driver that wraps whole functions, as in the seed's series. */
  static final String WRAPPER_NAME = "vfio-mdev-pci";

  private static final Set<String> STUBS = Set.of("pci-stub", "pcieport", "shpchp");

  /**
   * What a driver of that name is to this function.
   *
   * @param bridge whether the function is a bridge: its driver does no DMA of its own
   */
  static DriverKind of(String driver, boolean bridge) {
    if (driver.equals(WRAPPER_NAME)) {
      return WRAPPER;
    }
    if (driver.equals("vfio-pci") || driver.endsWith("_vfio_pci") || driver.endsWith("-vfio-pci")) {
      return VFIO;
    }
    return bridge || STUBS.contains(driver) ? STUB : HOST;
  }

  boolean registersWithVfio() {
    return this == VFIO || this == WRAPPER;
  }
}
