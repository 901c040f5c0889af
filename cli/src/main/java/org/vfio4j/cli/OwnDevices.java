// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import org.vfio4j.assign.BuiltIn;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;

/** The devices that this program implements. */
final class OwnDevices {
  private OwnDevices() {}

  /** A new one, in the state in which the power comes on. */
  static EmulatedDevice create(BuiltIn device) {
    return switch (device) {
      case IOAT -> Ioat.create();
      case EDU -> Edu.create();
    };
  }
}
