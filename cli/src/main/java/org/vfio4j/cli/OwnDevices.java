// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.CRC32;
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

  /** Whether another process can go on with it. */
  static boolean lasts(BuiltIn device) {
    return create(device).lasts();
  }

  /**
   * The name under which a device of ours is kept for another process: of its socket, since that is
   * all that says which it is. No function's begins so.
   */
  static String keptAs(Path socket) {
    CRC32 sum = new CRC32();
    sum.update(socket.toString().getBytes(StandardCharsets.UTF_8));
    return "x" + Long.toString(sum.getValue(), Character.MAX_RADIX);
  }
}
