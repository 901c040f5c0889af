// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * What {@code VFIO_DEVICE_GET_IRQ_INFO} tells of an interrupt.
 *
 * @param count vectors; 0 if the device has no such interrupt
 * @param flags {@link #EVENTFD} and the others, or'ed
 */
public record Irq(int count, int flags) {
  /** {@code VFIO_IRQ_INFO_EVENTFD}: delivered through an eventfd. */
  public static final int EVENTFD = 1;

  /** {@code VFIO_IRQ_INFO_MASKABLE}. */
  public static final int MASKABLE = 2;

  /** {@code VFIO_IRQ_INFO_AUTOMASKED}: masks itself when it is delivered, as a level does. */
  public static final int AUTOMASKED = 4;

  /** {@code VFIO_IRQ_INFO_NORESIZE}: vectors cannot be added while others are in use. */
  public static final int NORESIZE = 8;

  /** An interrupt that the device does not have. */
  public static final Irq NONE = new Irq(0, 0);

  /** Checks the bounds. */
  public Irq {
    if (count < 0 || count > 2048) {
      throw new IllegalArgumentException("vectors: count=%d, at most 2048".formatted(count));
    }
  }
}
