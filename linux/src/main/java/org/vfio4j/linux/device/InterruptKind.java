// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import org.vfio4j.linux.uapi.VfioConstants;

/** The kinds of interrupts of a PCI device. One kind is in use at a time. */
public enum InterruptKind {
  /** The pin: one line, level triggered. It is masked with each interrupt, and unmasked by hand. */
  INTX(VfioConstants.VFIO_PCI_INTX_IRQ_INDEX),
  /** Message signalled: up to 32, of which hosts often give only one. */
  MSI(VfioConstants.VFIO_PCI_MSI_IRQ_INDEX),
  /** Message signalled, from a table: up to 2048. */
  MSIX(VfioConstants.VFIO_PCI_MSIX_IRQ_INDEX);

  private final int index;

  InterruptKind(int index) {
    this.index = index;
  }

  /** The number that VFIO has for it. */
  int index() {
    return index;
  }
}
