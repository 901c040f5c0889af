// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.unwind.Attempt;

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

  /** The device whose interrupts and IOMMU stand for the entry; what it is, it was at the start. */
  final Device function;

  /** Where it sits; none for a group that no IOMMU serves. */
  Optional<Domain> domain = Optional.empty();

  List<ReservedRegion> regions = List.of();

  /** Whether its drivers report what they make dirty, by pinning. */
  boolean pinnedScope;

  private Attachment(
      IommuGroup group,
      List<? extends Device> members,
      Optional<IommuGroup> backing,
      List<Device> auxParents,
      Device function) {
    this.group = group;
    this.members = members;
    this.backing = backing;
    this.auxParents = auxParents;
    this.function = function;
  }

  /** A group of whole functions, or of devices that wrap one: its backing group really moves. */
  static Attachment moving(
      IommuGroup group, List<? extends Device> members, IommuGroup backing, Device function) {
    return new Attachment(group, members, Optional.of(backing), List.of(), function);
  }

  /** A group that no IOMMU serves. */
  static Attachment emulated(IommuGroup group, List<? extends Device> members) {
    return new Attachment(group, members, Optional.empty(), List.of(), members.getFirst());
  }

  /** A group that the IOMMU serves by PASIDs of the parent, one for each member. */
  static Attachment byPasid(IommuGroup group, List<? extends Device> members, Device parent) {
    List<Device> parents = Collections.nCopies(members.size(), parent);
    return new Attachment(group, members, Optional.empty(), parents, parent);
  }

  boolean external() {
    return backing.isEmpty() && auxParents.isEmpty();
  }

  boolean wrapped() {
    return backing.isPresent() && backing.get() != group;
  }

  /**
   * Moves the entry's hardware to a domain: its backing group, or one PASID for each member. A
   * member that fails takes those before it back.
   */
  void attachTo(IommuDomain hardware) {
    try (Attempt attempt = new Attempt()) {
      backing.ifPresent(hardware::attach);
      for (Device parent : auxParents) {
        hardware.attachAux(parent);
        attempt.undo(() -> hardware.detachAux(parent));
      }
      attempt.keep();
    }
  }

  /** Takes the entry's hardware away again. Cannot fail, and goes on to the last member. */
  void detachFrom(IommuDomain hardware) {
    backing.ifPresent(hardware::detach);
    auxParents.forEach(hardware::detachAux);
  }
}
