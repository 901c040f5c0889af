// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.profile;

import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.vfio4j.error.Errno;

/**
 * What differs between kernels, as data. The engine asks the profile; it never asks for a version.
 *
 * @param name the version, as in {@code --kernel 6.1}
 * @param ownership SET_CONTAINER claims the group's DMA and a claimed group refuses host drivers
 *     ({@code iommu_group_claim_dma_owner}, 5.19); without it a non-viable group is found only when
 *     a device is opened
 * @param unwindsPartialAttach a group attach that fails at its second device puts the first back
 * @param attachReplacesForeignDomain a group without default domain lets a second attach replace
 *     the first ({@code __iommu_attach_group} before 6.1)
 * @param rmrrRefusedAtClaim a device with firmware identity mappings is refused at the claim with
 *     EINVAL (6.6), not at the attach with EPERM
 * @param iovaRanges the container keeps the list of IOVA ranges that all its groups can use (5.4)
 * @param dirtyTracking VFIO_IOMMU_DIRTY_PAGES exists (5.8)
 * @param vaddrUpdate VFIO_UNMAP_ALL and VFIO_UPDATE_VADDR exist (5.12)
 * @param vaddrMovesOwner giving a mapping its new address makes the caller its owner, who is
 *     charged for what is locked ({@code vfio_change_dma_owner}: 6.3, and the stable branches)
 * @param nestingKnown the nesting type is offered (gone in 7.x)
 * @param nestingRefused what SET_IOMMU answers where the hardware cannot nest
 * @param overflow what a range that wraps answers
 * @param sizeBeforeOverflow map checks for size zero and for wrapping before alignment (7.x)
 * @param badContainerFd what SET_CONTAINER answers to a negative descriptor
 * @param containerFdFirst SET_CONTAINER looks the descriptor up before it asks whether the group
 *     has a container
 * @param foreignContainerFd what SET_CONTAINER answers to a descriptor of another kind
 * @param deviceNameFirst GET_DEVICE_FD looks the name up before the container's state
 * @param forcedDetachOnUnbind removing a group's last device takes the group out of its container;
 *     without it the unbind waits
 * @param removalHidesDevice a device waiting to be unbound can no longer be opened (6.12)
 * @param alignedCapabilities capabilities of GET_INFO start on 8 bytes (6.12)
 * @param foreignUnmapStops another address space than the mapper's cannot unmap: the call stops
 *     there, with success
 * @param topUnmapIsEmpty an unmap that ends at 2^64 finds nothing
 * @param writeOnlyReadable what is mapped for writing only, devices behind an Intel IOMMU can read
 *     too ({@code __domain_mapping} sets the present bit of the other table format, which here
 *     means readable)
 * @param noiommuBesideIommu enable_unsafe_noiommu_mode offers any device that has no IOMMU (5.19);
 *     before, none of a bus on which another device has one
 * @param pageSizes page sizes of an Intel IOMMU on this kernel, a bitmap in bytes
 */
public record KernelProfile(
    String name,
    boolean ownership,
    boolean unwindsPartialAttach,
    boolean attachReplacesForeignDomain,
    boolean rmrrRefusedAtClaim,
    boolean iovaRanges,
    boolean dirtyTracking,
    boolean vaddrUpdate,
    boolean vaddrMovesOwner,
    boolean nestingKnown,
    Errno nestingRefused,
    Errno overflow,
    boolean sizeBeforeOverflow,
    Errno badContainerFd,
    boolean containerFdFirst,
    Errno foreignContainerFd,
    boolean deviceNameFirst,
    boolean forcedDetachOnUnbind,
    boolean removalHidesDevice,
    boolean alignedCapabilities,
    boolean foreignUnmapStops,
    boolean topUnmapIsEmpty,
    boolean writeOnlyReadable,
    boolean noiommuBesideIommu,
    long pageSizes) {

  /** Linux 5.10: the seed's world, default-domain rule and viability by driver. */
  public static final KernelProfile LINUX_5_10 =
      new KernelProfile(
          "5.10",
          /* ownership= */ false,
          /* unwindsPartialAttach= */ false,
          /* attachReplacesForeignDomain= */ true,
          /* rmrrRefusedAtClaim= */ false,
          /* iovaRanges= */ true,
          /* dirtyTracking= */ true,
          /* vaddrUpdate= */ false,
          /* vaddrMovesOwner= */ false,
          /* nestingKnown= */ true,
          /* nestingRefused= */ Errno.ENODEV,
          /* overflow= */ Errno.EINVAL,
          /* sizeBeforeOverflow= */ false,
          /* badContainerFd= */ Errno.EINVAL,
          /* containerFdFirst= */ false,
          /* foreignContainerFd= */ Errno.EINVAL,
          /* deviceNameFirst= */ false,
          /* forcedDetachOnUnbind= */ false,
          /* removalHidesDevice= */ false,
          /* alignedCapabilities= */ false,
          /* foreignUnmapStops= */ true,
          /* topUnmapIsEmpty= */ true,
          /* writeOnlyReadable= */ true,
          /* noiommuBesideIommu= */ false,
          /* pageSizes= */ ~0xfffL);

  /** Linux 5.3, the seed's base: 5.10 without IOVA ranges and dirty tracking. */
  public static final KernelProfile LINUX_5_3 =
      LINUX_5_10.changed(
          "5.3",
          k -> {
            k.iovaRanges = false;
            k.dirtyTracking = false;
            k.writeOnlyReadable = false;
          });

  /** Linux 6.1: DMA ownership. The default. */
  public static final KernelProfile LINUX_6_1 =
      LINUX_5_10.changed(
          "6.1",
          k -> {
            k.ownership = true;
            k.unwindsPartialAttach = true;
            k.attachReplacesForeignDomain = false;
            k.vaddrUpdate = true;
            k.vaddrMovesOwner = true;
            k.nestingRefused = Errno.EINVAL;
            k.badContainerFd = Errno.EBADF;
            k.containerFdFirst = true;
            k.deviceNameFirst = true;
            k.forcedDetachOnUnbind = true;
            k.foreignUnmapStops = false;
            k.noiommuBesideIommu = true;
            k.pageSizes = 0x40201000L;
          });

  /** Linux 6.12. */
  public static final KernelProfile LINUX_6_12 =
      LINUX_6_1.changed(
          "6.12",
          k -> {
            k.rmrrRefusedAtClaim = true;
            k.foreignContainerFd = Errno.EBADFD;
            k.removalHidesDevice = true;
            k.alignedCapabilities = true;
          });

  /** Linux 7.2: nesting is gone, ranges that wrap have an errno of their own. */
  public static final KernelProfile LINUX_7_2 =
      LINUX_6_12.changed(
          "7.2",
          k -> {
            k.nestingKnown = false;
            k.nestingRefused = Errno.ENODEV;
            k.overflow = Errno.EOVERFLOW;
            k.sizeBeforeOverflow = true;
            k.topUnmapIsEmpty = false;
            k.writeOnlyReadable = false;
          });

  /** What a caller gets who does not choose: 6.1, with backed and aux mediated devices. */
  public static final KernelProfile DEFAULT = LINUX_6_1;

  /** All profiles, oldest first. */
  public static List<KernelProfile> all() {
    return List.of(LINUX_5_3, LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_7_2);
  }

  /** The profile of that name, if there is one. */
  public static Optional<KernelProfile> named(String name) {
    return all().stream().filter(p -> p.name().equals(name)).findFirst();
  }

  @Override
  public String toString() {
    return name;
  }

  /**
   * A kernel that answers as this one but for what is changed: the table says what a version
   * brought, and nothing twice.
   */
  private KernelProfile changed(String newName, Consumer<Changes> changes) {
    Changes next = new Changes(this);
    changes.accept(next);
    return next.profile(newName);
  }

  /** What a kernel does, before it is a profile; the names are those of the components. */
  private static final class Changes {
    boolean ownership;
    boolean unwindsPartialAttach;
    boolean attachReplacesForeignDomain;
    boolean rmrrRefusedAtClaim;
    boolean iovaRanges;
    boolean dirtyTracking;
    boolean vaddrUpdate;
    boolean vaddrMovesOwner;
    boolean nestingKnown;
    Errno nestingRefused;
    Errno overflow;
    boolean sizeBeforeOverflow;
    Errno badContainerFd;
    boolean containerFdFirst;
    Errno foreignContainerFd;
    boolean deviceNameFirst;
    boolean forcedDetachOnUnbind;
    boolean removalHidesDevice;
    boolean alignedCapabilities;
    boolean foreignUnmapStops;
    boolean topUnmapIsEmpty;
    boolean writeOnlyReadable;
    boolean noiommuBesideIommu;
    long pageSizes;

    private Changes(KernelProfile base) {
      ownership = base.ownership;
      unwindsPartialAttach = base.unwindsPartialAttach;
      attachReplacesForeignDomain = base.attachReplacesForeignDomain;
      rmrrRefusedAtClaim = base.rmrrRefusedAtClaim;
      iovaRanges = base.iovaRanges;
      dirtyTracking = base.dirtyTracking;
      vaddrUpdate = base.vaddrUpdate;
      vaddrMovesOwner = base.vaddrMovesOwner;
      nestingKnown = base.nestingKnown;
      nestingRefused = base.nestingRefused;
      overflow = base.overflow;
      sizeBeforeOverflow = base.sizeBeforeOverflow;
      badContainerFd = base.badContainerFd;
      containerFdFirst = base.containerFdFirst;
      foreignContainerFd = base.foreignContainerFd;
      deviceNameFirst = base.deviceNameFirst;
      forcedDetachOnUnbind = base.forcedDetachOnUnbind;
      removalHidesDevice = base.removalHidesDevice;
      alignedCapabilities = base.alignedCapabilities;
      foreignUnmapStops = base.foreignUnmapStops;
      topUnmapIsEmpty = base.topUnmapIsEmpty;
      writeOnlyReadable = base.writeOnlyReadable;
      noiommuBesideIommu = base.noiommuBesideIommu;
      pageSizes = base.pageSizes;
    }

    private KernelProfile profile(String name) {
      return new KernelProfile(
          name,
          ownership,
          unwindsPartialAttach,
          attachReplacesForeignDomain,
          rmrrRefusedAtClaim,
          iovaRanges,
          dirtyTracking,
          vaddrUpdate,
          vaddrMovesOwner,
          nestingKnown,
          nestingRefused,
          overflow,
          sizeBeforeOverflow,
          badContainerFd,
          containerFdFirst,
          foreignContainerFd,
          deviceNameFirst,
          forcedDetachOnUnbind,
          removalHidesDevice,
          alignedCapabilities,
          foreignUnmapStops,
          topUnmapIsEmpty,
          writeOnlyReadable,
          noiommuBesideIommu,
          pageSizes);
    }
  }
}
