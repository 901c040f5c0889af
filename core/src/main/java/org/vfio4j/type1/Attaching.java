// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.unwind.Attempt;

/**
 * The rule by which groups come to a container and leave it, tracked by backing group. The first
 * user of a backing group attaches the hardware; every further VFIO group with the same backing
 * joins without touching it; another container is refused; the hardware is detached when the last
 * user leaves. The container's lock covers all of it.
 */
final class Attaching {
  private final Container container;
  private final Hardware hardware;
  private final Attachments attachments;
  private final Mappings mappings;
  private final IovaRoom room;

  Attaching(
      Container container,
      Hardware hardware,
      Attachments attachments,
      Mappings mappings,
      IovaRoom room) {
    this.container = container;
    this.hardware = hardware;
    this.attachments = attachments;
    this.mappings = mappings;
    this.room = room;
  }

  /** {@code vfio_iommu_type1_attach_group}; see {@link Container#attach}. */
  void attach(IommuGroup group) {
    if (mappings.anyVaddrInvalid()) {
      throw new VfioException(
          Errno.EBUSY, Reason.VADDR_INVALID, "addresses of mappings are being updated");
    }
    if (attachments.find(group).isPresent()) {
      throw new VfioException(
          Errno.EINVAL, Reason.ALREADY_ATTACHED, group + " is attached to " + container.name());
    }
    Attachment entry = classify(group);
    try (Attempt attempt = new Attempt()) {
      entry.backing.ifPresent(b -> attempt.undo(() -> hardware.iommu().release(b)));
      enter(entry);
      attempt.keep();
    }
  }

  /**
   * Decides what the group is, before anything is looked up: an aux group never shares. A reference
   * on the backing group goes with the entry.
   */
  private Attachment classify(IommuGroup group) {
    List<? extends Device> members = group.devices();
    if (members.isEmpty()) {
      throw new VfioException(
          Errno.EIO,
          Reason.NO_GROUP,
          "%s has no member: no bus has a domain for it".formatted(group));
    }
    if (!onOneBus(members)) {
      throw new VfioException(
          Errno.EINVAL, Reason.MIXED_BUSES, "the members of " + group + " are not on one bus");
    }
    Device first = members.getFirst();
    if (first.bus() != Device.Bus.MDEV) {
      return Attachment.moving(group, members, hardware.reference(first), first);
    }
    return switch (Isolation.common(members)) {
      case Isolation.Plain() -> Attachment.emulated(group, members);
      case Isolation.Backed(Device function) ->
          Attachment.moving(group, members, hardware.reference(function), function);
      case Isolation.Aux(Device parent) -> Attachment.byPasid(group, members, parent);
    };
  }

  private static boolean onOneBus(List<? extends Device> members) {
    for (Device member : members) {
      if (member.bus() != members.getFirst().bus()) {
        return false;
      }
    }
    return true;
  }

  /** A plain group needs no IOMMU; one whose backing group is here shares; any other attaches. */
  private void enter(Attachment entry) {
    Optional<Attachment> user = entry.backing.flatMap(attachments::firstUser);
    if (entry.external()) {
      enterExternal(entry);
    } else if (user.isPresent()) {
      entry.regions = user.get().regions;
      attachments.add(entry, user.get().domain);
    } else {
      hardware.checkViable(entry);
      attachHardware(entry);
    }
  }

  private void enterExternal(Attachment entry) {
    entry.pinnedScope = true;
    if (attachments.external().isEmpty()) {
      mappings.startEmulating();
    }
    attachments.add(entry, Optional.empty());
  }

  /**
   * The first user: takes the backing group against all other containers, attaches it to a domain
   * of its own, and moves it to one that the container has if that will do.
   */
  private void attachHardware(Attachment entry) {
    try (AttachAttempt attempt = new AttachAttempt(hardware, container, entry)) {
      attempt.take();
      IommuDomain own = attempt.allocate();
      if (hardware.type() == Type1.NESTING) {
        own.enableNesting();
      }
      attempt.attach(own);
      entry.regions = entry.backing.map(hardware.iommu()::reservedRegions).orElse(List.of());
      IovaRanges narrowed = room.narrowedFor(entry, own.aperture());
      hardware.checkInterrupts(entry);
      Domain domain = shared(attempt, own).orElseGet(() -> prepared(entry, own));
      attempt.keep();
      attachments.add(entry, Optional.of(domain));
      room.narrowTo(narrowed);
      mappings.askDomains();
    }
  }

  /** A domain of the container that takes the entry, so that it needs none of its own. */
  private Optional<Domain> shared(AttachAttempt attempt, IommuDomain own) {
    for (Domain d : attachments.domains()) {
      if (d.hardware.compatible(own) && attempt.share(d.hardware)) {
        return Optional.of(d);
      }
    }
    return Optional.empty();
  }

  private Domain prepared(Attachment entry, IommuDomain own) {
    // The kernel replays first; this way a refused doorbell leaves nothing pinned.
    IovaRoom.softwareMsi(entry.regions).ifPresent(r -> own.prepareMsi(r.start()));
    mappings.replayOnto(own);
    return new Domain(own);
  }

  /**
   * {@code vfio_iommu_type1_detach_group}: cannot fail, and an unknown group is no error.
   *
   * @return whether the group was here
   */
  boolean detach(IommuGroup group) {
    Optional<Attachment> entry = attachments.find(group);
    entry.ifPresent(this::leave);
    return entry.isPresent();
  }

  private void leave(Attachment entry) {
    boolean regionLeft = attachments.remove(entry);
    if (entry.external()) {
      leaveExternal();
    } else {
      leaveDomain(entry, entry.domain.orElseThrow(), regionLeft);
    }
    if (!entry.pinnedScope) {
      mappings.allDirty();
    }
  }

  private void leaveExternal() {
    if (attachments.external().isEmpty()) {
      mappings.stopEmulating();
      if (attachments.domains().isEmpty()) {
        mappings.removeAll();
      }
    }
  }

  private void leaveDomain(Attachment entry, Domain domain, boolean regionLeft) {
    entry.backing.ifPresentOrElse(
        backing -> leaveBacking(entry, domain, backing), () -> entry.detachFrom(domain.hardware));
    boolean emptied = domain.entries().isEmpty();
    if (emptied) {
      free(domain);
    }
    if (emptied || regionLeft) {
      room.regionLeft();
    }
    mappings.askDomains();
  }

  /** The hardware goes with the last user of the backing group; then others may have the group. */
  private void leaveBacking(Attachment entry, Domain domain, IommuGroup backing) {
    if (attachments.users(backing).isEmpty()) {
      entry.detachFrom(domain.hardware);
      hardware.iommu().close(backing);
      backing.ownership().giveBack(container);
    }
    hardware.iommu().release(backing);
  }

  private void free(Domain domain) {
    if (attachments.domains().size() == 1) {
      if (attachments.external().isEmpty()) {
        mappings.removeAll();
      } else {
        mappings.withdrawFromIommu();
      }
    }
    attachments.removeDomain(domain);
    domain.hardware.close();
    room.domainLeft();
  }
}
