// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.ReservedRegion;

/**
 * An IOMMU group as the source shows it. Group numbers change from boot to boot; its members are
 * what names it.
 *
 * @param id the number, as in {@code /dev/vfio/12}
 * @param members its PCI functions, sorted
 * @param otherMembers kernel names of members that are no PCI functions, sorted
 * @param type type of its default domain ({@code DMA}, {@code identity}, ...)
 * @param reservedRegions what {@code reserved_regions} of the group gives, in its order
 */
public record HostGroup(
    int id,
    List<PciAddress> members,
    List<String> otherMembers,
    Optional<String> type,
    Optional<List<ReservedRegion>> reservedRegions) {

  /** Copies and sorts. */
  public HostGroup {
    if (id < 0) {
      throw new IllegalArgumentException("negative group number: " + id);
    }
    members = members.stream().sorted().toList();
    otherMembers = otherMembers.stream().sorted().toList();
    reservedRegions = reservedRegions.map(List::copyOf);
  }
}
