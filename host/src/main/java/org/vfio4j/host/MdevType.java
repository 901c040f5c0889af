// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/**
 * A type of mediated device that a parent offers, as {@code mdev_supported_types/ID} gives it.
 *
 * @param id name of the directory, such as {@code nvidia-754}
 * @param name the pretty name
 * @param api the device API, such as {@code vfio-pci}
 * @param availableInstances how many more can be created, 0 or more
 * @param description free text of the driver
 */
public record MdevType(
    String id,
    Optional<String> name,
    Optional<String> api,
    Optional<Integer> availableInstances,
    Optional<String> description) {

  /** A type of which only the id is known. */
  public static MdevType of(String id) {
    return new MdevType(id, Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
  }

  /** Whether nothing but the id is known. */
  boolean isNameOnly() {
    return equals(of(id));
  }

  /** Checks the bounds. */
  public MdevType {
    if (id.isEmpty() || availableInstances.orElse(0) < 0) {
      throw new IllegalArgumentException("no mdev type: id='" + id + "'");
    }
  }
}
