// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import org.vfio4j.iommu.Device;
import org.vfio4j.unwind.Attempt;

/** How far a device whose driver is going has come; see {@link VfioCore#unregister}. */
public sealed interface Unregistering {
  /** VFIO does not have the device any more. */
  record Done() implements Unregistering {}

  /** A user keeps it: ask again when something was given back. */
  record Waiting() implements Unregistering {}

  /**
   * The device is the last of a group that has to leave its container first, as kernels from 6.1 on
   * have it: {@link #detach}, then {@link #detached}. Group and container are busy meanwhile.
   */
  final class Forced implements Unregistering {
    private final VfioCore core;
    private final VfioGroup group;
    private final Device device;

    Forced(VfioCore core, VfioGroup group, Device device) {
      this.core = core;
      this.group = group;
      this.device = device;
    }

    /**
     * Detaches the hardware, which takes as long as what the container maps takes to unmap. Without
     * the machine's lock.
     */
    public void detach() {
      try (Attempt attempt = new Attempt()) {
        attempt.undo(this::detached);
        core.detach(group);
        attempt.keep();
      }
    }

    /** The group is out of its container, and VFIO does not have the device any more. */
    public void detached() {
      try (MachineLock.Held _ = core.lock().hold()) {
        core.left(group);
        core.gone(group, device);
      }
    }
  }
}
