// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IovaRange;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.profile.KernelProfile;

/**
 * The IOVAs that a container's mappings may use ({@code iommu->iova_list}): what every group of it
 * can address, without what any of them reserves. The container's lock covers it.
 */
final class IovaRoom {
  private final KernelProfile profile;
  private final Attachments attachments;
  private final DmaTree mappings;

  /** Changed under the container's lock, told without it. */
  private volatile IovaRanges ranges = IovaRanges.UNKNOWN;

  IovaRoom(KernelProfile profile, Attachments attachments, DmaTree mappings) {
    this.profile = profile;
    this.attachments = attachments;
    this.mappings = mappings;
  }

  IovaRanges ranges() {
    return ranges;
  }

  /**
   * What is left with an entry that is about to be added; nothing changes yet.
   *
   * @param aperture what the entry's domain can address
   * @throws VfioException EINVAL if a mapping stands in the way, or nothing is left
   */
  IovaRanges narrowedFor(Attachment entry, IovaRange aperture) {
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
    if (disjoint || !mappings.within(aperture)) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.APERTURE,
          "the group addresses 0x%x to 0x%x only".formatted(aperture.start(), aperture.last()));
    }
  }

  /** {@code vfio_iommu_resv_conflict}. */
  private void checkRegion(ReservedRegion region) {
    if (mappings.firstIn(region.start(), region.last()).isPresent()) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.RESERVED_REGION,
          "a mapping lies in 0x%x to 0x%x, which the group reserves"
              .formatted(region.start(), region.last()));
    }
  }

  /** The entry is in: what {@link #narrowedFor} found holds from now on. */
  void narrowTo(IovaRanges narrowed) {
    ranges = narrowed;
  }

  /** A domain has been freed: only the two ends of the room can move. */
  void domainLeft() {
    ranges = ranges.expandedTo(commonAperture());
  }

  /** What the remaining entries do not reserve is free again. */
  void regionLeft() {
    ranges = ranges.refreshed(attachments.regions());
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

  /**
   * Where the doorbell of interrupts has to be mapped by software ({@code vfio_iommu_has_sw_msi});
   * a real MSI region wins.
   */
  static Optional<ReservedRegion> softwareMsi(List<ReservedRegion> regions) {
    if (regions.stream().anyMatch(r -> r.type() == ReservedRegion.Type.MSI)) {
      return Optional.empty();
    }
    return regions.stream().filter(r -> r.type() == ReservedRegion.Type.SW_MSI).findFirst();
  }
}
