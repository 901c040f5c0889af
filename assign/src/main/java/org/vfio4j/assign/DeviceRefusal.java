// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;

/**
 * Why a device is refused.
 *
 * @param errno what the kernel answers; empty where no kernel was asked
 * @param code the stable code: a {@link org.vfio4j.error.Reason} or one of {@link Codes}
 * @param call the call that is refused
 * @param message what is refused and why, one sentence
 * @param holder who stands in the way
 * @param fixes what to change: each was applied and checked to work
 */
public record DeviceRefusal(
    Optional<Errno> errno,
    String code,
    String call,
    String message,
    Optional<HolderVm> holder,
    List<String> fixes) {

  /** Copies the list. */
  public DeviceRefusal {
    fixes = List.copyOf(fixes);
  }

  /**
   * A VM that stands in the way.
   *
   * @param vm its name
   * @param devices what it has of the group
   */
  public record HolderVm(String vm, List<String> devices) {
    /** Copies the list. */
    public HolderVm {
      devices = List.copyOf(devices);
    }
  }

  /** The same with fixes. */
  public DeviceRefusal with(List<String> found) {
    return new DeviceRefusal(errno, code, call, message, holder, found);
  }
}
