// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

/**
 * {@code struct vfio_irq_info}.
 *
 * @param index which; {@code VFIO_PCI_MSIX_IRQ_INDEX} and so on
 * @param flags {@code VFIO_IRQ_INFO_}
 * @param count how many; 0 if the device has none of the kind
 */
public record VfioIrqInfo(int index, int flags, int count) {
  /** Whether they can signal an eventfd. */
  public boolean eventFd() {
    return (flags & VfioConstants.VFIO_IRQ_INFO_EVENTFD) != 0;
  }

  /** Whether they can be masked. */
  public boolean maskable() {
    return (flags & VfioConstants.VFIO_IRQ_INFO_MASKABLE) != 0;
  }

  /** Whether each masks itself and must be unmasked after it. */
  public boolean automasked() {
    return (flags & VfioConstants.VFIO_IRQ_INFO_AUTOMASKED) != 0;
  }
}
