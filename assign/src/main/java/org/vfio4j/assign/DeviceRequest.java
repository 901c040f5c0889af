// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Optional;
import org.vfio4j.host.Tree;

/**
 * A device that a VM asks for.
 *
 * @param mode how
 * @param device a PCI address, or with {@link Mode#MDEV} a UUID
 * @param type with {@link Mode#EMULATED} and {@link Mode#AUX}, the parent's type to take
 * @param at where it stands in the file
 */
public record DeviceRequest(Mode mode, String device, Optional<String> type, Tree.Position at) {

  /** Whether both ask for the same device, in whatever way. */
  public boolean sameDevice(DeviceRequest other) {
    return device.equals(other.device);
  }

  /** The same, for another device. */
  public DeviceRequest of(String other) {
    return new DeviceRequest(mode, other, type, at);
  }

  @Override
  public String toString() {
    return mode == Mode.WHOLE ? device : mode.key() + " " + device;
  }
}
