// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.Arrays;
import java.util.Set;

/**
 * What the driver of a device means for VFIO, told by the driver's name: the one answer of this
 * project to "is this driver VFIO's".
 */
public enum DriverKind {
  /** Offers the device to user space: {@code vfio-pci}, its variants, and those of other buses. */
  VFIO,
  /** Does nothing with the device: its group stays viable, the device cannot be used. */
  STUB,
  /** Wraps the device as a parent of mediated devices, and stands in its group for viability. */
  WRAPPER,
  /** Does DMA for the host: the device's group is not viable. */
  HOST;

  /** The name of the driver that offers a whole PCI function. */
  public static final String VFIO_PCI = "vfio-pci";

  /** The name of the driver that wraps whole functions, as in the seed's series. */
  public static final String WRAPPER_NAME = "vfio-mdev-pci";

  /**
   * Drivers that set {@code driver_managed_dma} and do no DMA of their own. Before 6.0 {@code
   * vfio_driver_allowed} listed the first, and bridges were told by their header.
   */
  private static final Set<String> STUBS = Set.of("pci-stub", "pcieport", "shpchp");

  /**
   * What a driver of that name is to a device. A driver is VFIO's if one of the words of its name
   * is {@code vfio}: {@code vfio-pci}, {@code vfio-platform}, {@code vfio_ap}, and the variants
   * that drivers of devices bring along, such as {@code mlx5_vfio_pci}, {@code pds-vfio-pci} and
   * {@code nvgrace-gpu-vfio-pci}. Linux names all of them so; those that are still to come are
   * known by it too.
   *
   * @param driver the driver's name, as {@code /sys/bus/BUS/drivers} shows it
   * @param bridge whether the device is a PCI bridge: its driver does no DMA of its own
   */
  public static DriverKind of(String driver, boolean bridge) {
    if (driver.equals(WRAPPER_NAME)) {
      return WRAPPER;
    }
    if (Arrays.asList(driver.split("[-_]")).contains("vfio")) {
      return VFIO;
    }
    return bridge || STUBS.contains(driver) ? STUB : HOST;
  }

  /** Whether a driver of that name offers its devices to user space. */
  public static boolean offers(String driver) {
    return of(driver, false) == VFIO;
  }

  /** Whether the device is known to VFIO, as itself or as what wraps it. */
  public boolean registersWithVfio() {
    return this == VFIO || this == WRAPPER;
  }
}
