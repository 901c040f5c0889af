// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.ReservedRegion;

/**
 * An attached VFIO group: the one entry that tracks it ({@code struct vfio_group} of type1). Its
 * backing group stands in the entry itself, so that the use count of a backing group is the number
 * of entries that name it.
 */
final class Attachment {
  final IommuGroup group;

  /** Its members when it came: a rival is told their names with the group's lock held. */
  final List<? extends Device> members;

  /** The IOMMU group whose hardware really moves; none for plain and aux mediated devices. */
  final Optional<IommuGroup> backing;

  /** Parents whose PASIDs are bound, one for each member of an aux group. */
  final List<Device> auxParents;

  /** Where it sits; none for a group that no IOMMU serves. */
  Optional<Domain> domain = Optional.empty();

  List<ReservedRegion> regions = List.of();

  /** Whether its drivers report what they make dirty, by pinning. */
  boolean pinnedScope;

  Attachment(
      IommuGroup group,
      List<? extends Device> members,
      Optional<IommuGroup> backing,
      List<Device> auxParents) {
    this.group = group;
    this.members = members;
    this.backing = backing;
    this.auxParents = auxParents;
  }

  boolean external() {
    return backing.isEmpty() && auxParents.isEmpty();
  }

  boolean wrapped() {
    return backing.isPresent() && backing.get() != group;
  }

  /** The device whose interrupts and IOMMU stand for the entry. */
  Device function() {
    return auxParents.isEmpty()
        ? backing.orElse(group).devices().getFirst()
        : auxParents.getFirst();
  }
}
