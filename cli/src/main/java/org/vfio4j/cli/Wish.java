// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;
import org.vfio4j.assign.DeviceVerdict;

/**
 * A device that a VM has or asks for, in a picture.
 *
 * @param vm the VM
 * @param colour its colour
 * @param device the address or UUID
 * @param verdict what becomes of it; empty for what runs already
 * @param y the height at which it stands
 */
record Wish(String vm, Colour colour, String device, Optional<DeviceVerdict> verdict, double y) {

  boolean refused() {
    return verdict.filter(DeviceVerdict::refused).isPresent();
  }

  /** Whether it is given through a mediated device that stands below the function. */
  boolean mediated() {
    return verdict.filter(v -> v.request().mode() != org.vfio4j.assign.Mode.WHOLE).isPresent();
  }
}
