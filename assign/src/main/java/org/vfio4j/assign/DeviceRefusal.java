// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.vfio4j.error.Errno;

/**
 * Why a device is refused.
 *
 * @param errno what the kernel answers; empty where no kernel was asked
 * @param code the stable code
 * @param call the call that is refused
 * @param message what is refused and why, one sentence
 * @param holder who stands in the way
 * @param fixes what to change: each was applied, was seen to work, and takes nothing from anybody
 *     else
 */
public record DeviceRefusal(
    Optional<Errno> errno,
    RefusalCode code,
    String call,
    String message,
    Optional<HolderVm> holder,
    List<Fix> fixes) {

  /** Copies the list. */
  public DeviceRefusal {
    fixes = List.copyOf(fixes);
  }

  /**
   * A VM that stands in the way.
   *
   * @param vm its name
   * @param devices what it has of the group
   * @param running whether it runs on the host already, rather than being asked for
   * @param pid its process, where it runs and that is known
   */
  public record HolderVm(String vm, List<String> devices, boolean running, OptionalLong pid) {
    /** Copies the list. */
    public HolderVm {
      devices = List.copyOf(devices);
    }

    /** A VM of the request. */
    public HolderVm(String vm, List<String> devices) {
      this(vm, devices, false, OptionalLong.empty());
    }
  }

  /** The same with fixes. */
  public DeviceRefusal with(List<Fix> found) {
    return new DeviceRefusal(errno, code, call, message, holder, found);
  }
}
