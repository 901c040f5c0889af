// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Locale;
import java.util.Optional;
import java.util.UUID;

/**
 * A mediated device that exists on the host.
 *
 * @param uuid its name
 * @param parent kernel name of the parent: a PCI address, or another name
 * @param type id of its type
 * @param group number of its own IOMMU group; not in {@link HostTopology#groups()}
 * @param driver driver it is bound to, such as {@code vfio_mdev}
 */
public record Mdev(
    UUID uuid, String parent, Optional<String> type, Optional<Integer> group, Fact<String> driver) {

  /** The address of the parent, where it is a PCI function. */
  public Optional<PciAddress> parentAddress() {
    return PciAddress.tryParse(parent);
  }

  /** Reads a UUID as the kernel writes it; empty if the text is none. */
  public static Optional<UUID> parseUuid(String text) {
    if (!text.matches("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")) {
      return Optional.empty();
    }
    return Optional.of(UUID.fromString(text.toLowerCase(Locale.ROOT)));
  }
}
