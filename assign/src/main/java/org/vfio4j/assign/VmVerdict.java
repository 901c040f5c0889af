// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;

/**
 * What becomes of one VM.
 *
 * @param name its name
 * @param lockedBytes memory that its process has locked in the end, in bytes; 0 if its RAM is not
 *     known
 * @param devices its devices, in the order of the request
 */
public record VmVerdict(String name, long lockedBytes, List<DeviceVerdict> devices) {
  /** Copies the list. */
  public VmVerdict {
    devices = List.copyOf(devices);
  }
}
