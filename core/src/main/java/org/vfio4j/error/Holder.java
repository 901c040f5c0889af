// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

import java.util.List;

/**
 * Who has what the caller asked for.
 *
 * @param name the container's or process's name, as its creator gave it
 * @param devices the devices through which it holds, in the order they came
 */
public record Holder(String name, List<String> devices) {
  /** Copies the list. */
  public Holder {
    devices = List.copyOf(devices);
  }
}
