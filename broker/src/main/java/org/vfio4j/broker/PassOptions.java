// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

/**
 * How a function is served.
 *
 * @param wrapped as a mediated device of ours that wraps it, or the function itself: the rules are
 *     the same, and so is what the VM sees
 * @param mmap whether the VM gets a descriptor of the device, with which it maps its registers:
 *     without it every access is a message
 * @param reset whether the function must be reset between two VMs: one that cannot be goes to no
 *     second VM then
 */
public record PassOptions(boolean wrapped, boolean mmap, boolean reset) {
  /** The function itself. */
  public static final PassOptions WHOLE = new PassOptions(false, true, true);

  /** A device that wraps the function. */
  public static final PassOptions WRAPPED = new PassOptions(true, true, true);

  /** The same, without a descriptor for the VM. */
  public PassOptions withoutMmap() {
    return new PassOptions(wrapped, false, reset);
  }

  /** The same, whatever the VM before has left in the device. */
  public PassOptions withoutReset() {
    return new PassOptions(wrapped, mmap, false);
  }
}
