// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * A model that another process can go on with: all that it is lies in registers and memory that it
 * writes down in {@link DeviceBus#state} before it acts on them. What it had begun is begun again
 * by the process that comes after, so it must be the same when it is done twice.
 */
public interface LastingModel extends PciModel {
  /** Which form its state has: another one for each change of it. */
  int version();

  /** Words of its registers, of 64 bits each; at most {@value LastingState#MOST_WORDS}. */
  int words();

  /** Bytes of its memory. */
  int memory();

  /**
   * Another process has served this device, and its user has noticed nothing: the state is as it
   * was written down. What was begun is begun again, and an interrupt that may not have been
   * signalled is signalled.
   */
  void resumed(DeviceBus bus);
}
