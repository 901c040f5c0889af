// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import org.vfio4j.error.Reason;
import org.vfio4j.host.Role;

/**
 * The stable code of a refusal: one of the engine's reasons, or one of those for which no kernel is
 * asked. No two have the same name.
 */
public sealed interface RefusalCode {

  /** The code as a verdict shows it, as in {@code GROUP_NOT_VIABLE}. */
  String name();

  /**
   * The engine refuses, as a kernel would.
   *
   * @param reason its reason
   */
  record Engine(Reason reason) implements RefusalCode {
    @Override
    public String name() {
      return reason.name();
    }

    @Override
    public String toString() {
      return name();
    }
  }

  /** The host as it is forbids it, before a kernel is asked. */
  enum Host implements RefusalCode {
    /** The function carries the host's boot disk. */
    HOST_BOOT_DISK,
    /** The function carries the host's management network. */
    HOST_MANAGEMENT_NETWORK,
    /** The function is the host's console. */
    HOST_CONSOLE,
    /** The function carries another disk that the host uses. */
    HOST_STORAGE,
    /** The function carries another network that the host uses. */
    HOST_NETWORK,
    /** The host has no such device. */
    NO_SUCH_DEVICE,
    /** The function is a bridge, which VFIO gives to nobody. */
    BRIDGE,
    /** Another VM asks for, or has, a mediated device that would go with the function's driver. */
    MDEV_IN_USE,
    /** A mediated device is defined and not there, and its parent offers none of its type. */
    MDEV_NOT_OFFERED,
    /** The virtual function has no vGPU type, and none can be made of it. */
    VGPU_NO_TYPE,
    /** The source does not say in which IOMMU group the function is. */
    GROUP_UNKNOWN,
    /** The function is in no IOMMU group. */
    NO_IOMMU_GROUP;

    /** The code for taking a function that has this role. */
    static Host of(Role role) {
      return switch (role) {
        case BOOT_DISK -> HOST_BOOT_DISK;
        case MANAGEMENT_NETWORK -> HOST_MANAGEMENT_NETWORK;
        case CONSOLE -> HOST_CONSOLE;
        case STORAGE -> HOST_STORAGE;
        case NETWORK -> HOST_NETWORK;
      };
    }
  }
}
