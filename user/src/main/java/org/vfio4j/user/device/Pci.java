// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/** How regions and interrupts of a PCI device are numbered ({@code linux/vfio.h}). */
public final class Pci {
  /** {@code VFIO_PCI_BAR0_REGION_INDEX}; the other five follow. */
  public static final int BAR0 = 0;

  /** {@code VFIO_PCI_ROM_REGION_INDEX}. */
  public static final int ROM = 6;

  /** {@code VFIO_PCI_CONFIG_REGION_INDEX}. */
  public static final int CONFIG = 7;

  /** {@code VFIO_PCI_VGA_REGION_INDEX}. */
  public static final int VGA = 8;

  /** {@code VFIO_PCI_NUM_REGIONS}. */
  public static final int REGIONS = 9;

  /** {@code VFIO_PCI_INTX_IRQ_INDEX}. */
  public static final int INTX = 0;

  /** {@code VFIO_PCI_MSI_IRQ_INDEX}. */
  public static final int MSI = 1;

  /** {@code VFIO_PCI_MSIX_IRQ_INDEX}. */
  public static final int MSIX = 2;

  /** {@code VFIO_PCI_ERR_IRQ_INDEX}. */
  public static final int ERROR = 3;

  /** {@code VFIO_PCI_REQ_IRQ_INDEX}: the device asks to be given back. */
  public static final int REQUEST = 4;

  /** {@code VFIO_PCI_NUM_IRQS}. */
  public static final int IRQS = 5;

  private Pci() {}
}
