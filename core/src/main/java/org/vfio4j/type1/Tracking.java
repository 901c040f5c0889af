// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Holder;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.profile.KernelProfile;

/**
 * The attach and detach of groups to one container, tracked by backing group. The first user of a
 * backing group attaches the hardware; every further VFIO group with the same backing joins without
 * touching it; another container is refused; the hardware is detached when the last user leaves.
 * The container's lock covers all of it.
 */
final class Tracking {
  private final Ownership.Owner owner;
  private final String name;
  private final Iommu iommu;
  private final KernelProfile profile;
  private final Type1 type;
  private final Type1Parameters parameters;
  private final Attachments attachments;
  private final Mappings mappings;
  private final DirtyTracking dirty;
  private IovaRanges ranges = IovaRanges.UNKNOWN;

  Tracking(
      Ownership.Owner owner,
      String name,
      Iommu iommu,
      KernelProfile profile,
      Type1 type,
      Type1Parameters parameters,
      Attachments attachments,
      Mappings mappings,
      DirtyTracking dirty) {
    this.owner = owner;
    this.name = name;
    this.iommu = iommu;
    this.profile = profile;
    this.type = type;
    this.parameters = parameters;
    this.attachments = attachments;
    this.mappings = mappings;
    this.dirty = dirty;
  }

  IovaRanges ranges() {
    return ranges;
  }

  /** Through which devices a backing group is held; may be asked under another container's lock. */
  Holder holder(IommuGroup group) {
    return new Holder(name, attachments.devices(group));
  }

  /** {@code vfio_iommu_type1_attach_group}; see {@link Container#attach}. */
  void attach(IommuGroup group) {
    if (mappings.anyVaddrInvalid()) {
      throw new VfioException(
          Errno.EBUSY, Reason.VADDR_INVALID, "addresses of mappings are being updated");
    }
    if (attachments.find(group).isPresent()) {
      throw new VfioException(
          Errno.EINVAL, Reason.ALREADY_ATTACHED, group + " is attached to " + name);
    }
    Attachment entry = classify(group);
    boolean attached = false;
    try {
      enter(entry);
      attached = true;
    } finally {
      if (!attached) {
        entry.backing.ifPresent(iommu::release);
      }
    }
  }

  /** Decides what the group is, before anything is looked up: an aux group never shares. */
  private Attachment classify(IommuGroup group) {
    List<? extends Device> members = group.devices();
    if (!onOneBus(members)) {
      throw new VfioException(
          Errno.EINVAL, Reason.MIXED_BUSES, "the members of " + group + " are not on one bus");
    }
    if (members.getFirst().bus() != Device.Bus.MDEV) {
      return new Attachment(group, members, Optional.of(reference(members.getFirst())), List.of());
    }
    return switch (Isolation.common(members)) {
      case Isolation.Plain() -> new Attachment(group, members, Optional.empty(), List.of());
      case Isolation.Backed(Device function) ->
          new Attachment(group, members, Optional.of(reference(function)), List.of());
      case Isolation.Aux(Device parent) ->
          new Attachment(
              group, members, Optional.empty(), Collections.nCopies(members.size(), parent));
    };
  }

  private static boolean onOneBus(List<? extends Device> members) {
    for (Device member : members) {
      if (member.bus() != members.getFirst().bus()) {
        return false;
      }
    }
    return !members.isEmpty();
  }

  private IommuGroup reference(Device device) {
    return iommu
        .acquireGroup(device)
        .orElseThrow(
            () ->
                new VfioException(
                    Errno.EINVAL,
                    Reason.NO_BACKING_GROUP,
                    device.name() + " is in no IOMMU group",
                    device.name()));
  }

  private void enter(Attachment entry) {
    if (entry.external()) {
      entry.pinnedScope = true;
      if (attachments.external().isEmpty()) {
        mappings.startEmulating();
      }
      attachments.add(entry, Optional.empty());
      return;
    }
    Optional<Attachment> user = entry.backing.flatMap(attachments::firstUser);
    if (user.isPresent()) {
      entry.regions = user.get().regions;
      attachments.add(entry, user.get().domain);
      return;
    }
    if (!profile.ownership() && entry.wrapped() && parameters.viableBackingOnly()) {
      checkViable(entry);
    }
    attachHardware(entry);
  }

  /**
   * 5.10 looks at a group's viability when a device is opened: for a wrapped one that is too late.
   */
  private void checkViable(Attachment entry) {
    if (!iommu.viable(entry.backing.orElseThrow())) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.GROUP_NOT_VIABLE,
          "a driver of the host uses a member of " + entry.backing.get(),
          entry.function().name());
    }
  }

  private void attachHardware(Attachment entry) {
    try (AttachAttempt attempt = new AttachAttempt(iommu, owner, entry)) {
      attempt.take();
      IommuDomain hardware = attempt.allocate();
      if (type == Type1.NESTING) {
        hardware.enableNesting();
      }
      attempt.attach(hardware);
      entry.regions = entry.backing.map(iommu::reservedRegions).orElse(List.of());
      IovaRanges narrowed = narrowedFor(entry, hardware.aperture());
      checkInterrupts(entry);
      Domain domain = shared(attempt, hardware).orElseGet(() -> prepared(entry, hardware));
      attempt.keep();
      ranges = narrowed;
      attachments.add(entry, Optional.of(domain));
    }
  }

  /** A domain of the container that takes the entry, so that it needs none of its own. */
  private Optional<Domain> shared(AttachAttempt attempt, IommuDomain hardware) {
    for (Domain d : attachments.domains()) {
      if (d.hardware.compatible(hardware) && attempt.share(d.hardware)) {
        return Optional.of(d);
      }
    }
    return Optional.empty();
  }

  /** The IOVA ranges with this entry, unless a mapping stands in its way. */
  private IovaRanges narrowedFor(Attachment entry, IovaRange aperture) {
    if (!profile.iovaRanges()) {
      return ranges;
    }
    checkAperture(aperture);
    for (ReservedRegion region : entry.regions) {
      if (region.type() != ReservedRegion.Type.DIRECT_RELAXABLE) {
        checkRegion(region);
      }
    }
    IovaRanges narrowed = ranges.clippedTo(aperture).without(entry.regions);
    if (narrowed.isEmpty()) {
      throw new VfioException(
          Errno.EINVAL, Reason.RESERVED_REGION, entry.group + " leaves no IOVA usable");
    }
    return narrowed;
  }

  /** {@code vfio_iommu_aper_conflict}. */
  private void checkAperture(IovaRange aperture) {
    if (ranges.isEmpty()) {
      return;
    }
    boolean disjoint = !aperture.overlaps(ranges.first(), ranges.last());
    if (disjoint || !mappings.tree().within(aperture)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.APERTURE,
          "the group addresses 0x%x to 0x%x only".formatted(aperture.start(), aperture.last()));
    }
  }

  /** {@code vfio_iommu_resv_conflict}. */
  private void checkRegion(ReservedRegion region) {
    if (mappings.tree().firstIn(region.start(), region.last()).isPresent()) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.RESERVED_REGION,
          "a mapping lies in 0x%x to 0x%x, which the group reserves"
              .formatted(region.start(), region.last()));
    }
  }

  private void checkInterrupts(Attachment entry) {
    if (!parameters.allowUnsafeInterrupts() && !iommu.isolatesInterrupts(entry.function())) {
      throw new VfioException(
          Errno.EPERM,
          Reason.INTERRUPTS_NOT_ISOLATED,
          "interrupts of %s are not remapped".formatted(entry.function().name()),
          entry.function().name());
    }
  }

  private Domain prepared(Attachment entry, IommuDomain hardware) {
    // The kernel replays first; this way a refused doorbell leaves nothing pinned.
    softwareMsi(entry.regions).ifPresent(r -> hardware.prepareMsi(r.start()));
    mappings.replayOnto(hardware);
    Domain domain = new Domain(hardware);
    attachments.addDomain(domain);
    mappings.updatePageSizes();
    return domain;
  }

  /** {@code vfio_iommu_has_sw_msi}: a real MSI region wins. */
  private static Optional<ReservedRegion> softwareMsi(List<ReservedRegion> regions) {
    if (regions.stream().anyMatch(r -> r.type() == ReservedRegion.Type.MSI)) {
      return Optional.empty();
    }
    return regions.stream().filter(r -> r.type() == ReservedRegion.Type.SW_MSI).findFirst();
  }

  /** {@code vfio_iommu_type1_detach_group}: cannot fail, and an unknown group is no error. */
  void detach(IommuGroup group) {
    attachments.find(group).ifPresent(this::leave);
  }

  /** {@code vfio_iommu_type1_release}. */
  void detachAll() {
    new ArrayList<>(attachments.all()).forEach(this::leave);
  }

  private void leave(Attachment entry) {
    boolean regionLeft = attachments.remove(entry);
    if (entry.external()) {
      leaveExternal();
    } else {
      leaveDomain(entry, entry.domain.orElseThrow(), regionLeft);
    }
    if (!entry.pinnedScope) {
      dirty.allDirty();
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
        backing -> leaveBacking(entry, domain, backing),
        () -> Domain.detach(domain.hardware, entry));
    boolean emptied = domain.entries.isEmpty();
    if (emptied) {
      free(domain);
    }
    if (emptied || regionLeft) {
      ranges = ranges.refreshed(attachments.regions());
    }
  }

  private void leaveBacking(Attachment entry, Domain domain, IommuGroup backing) {
    if (attachments.users(backing).isEmpty()) {
      Domain.detach(domain.hardware, entry);
      iommu.close(backing);
      backing.ownership().giveBack(owner);
    }
    iommu.release(backing);
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
    ranges = ranges.expandedTo(commonAperture());
    mappings.updatePageSizes();
  }

  private IovaRange commonAperture() {
    long start = 0;
    long last = -1L;
    for (Domain d : attachments.domains()) {
      IovaRange aperture = d.hardware.aperture();
      start = Long.compareUnsigned(aperture.start(), start) > 0 ? aperture.start() : start;
      last = Long.compareUnsigned(aperture.last(), last) < 0 ? aperture.last() : last;
    }
    return new IovaRange(start, last);
  }
}
