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

  /**
   * What a version brought.
   *
   * @param since the first version that has it
   * @param change what is different from then on
   */
  private record Change(KernelVersion since, Consumer<Changes> change) {
    static Change since(int major, int minor, Consumer<Changes> change) {
      return new Change(new KernelVersion(major, minor), change);
    }
  }

  /**
   * Linux 5.3, the seed's base: default-domain rule and viability by driver, no IOVA ranges and no
   * dirty tracking.
   */
  public static final KernelProfile LINUX_5_3 =
      new KernelProfile(
          "5.3",
          /* ownership= */ false,
          /* unwindsPartialAttach= */ false,
          /* attachReplacesForeignDomain= */ true,
          /* rmrrRefusedAtClaim= */ false,
          /* iovaRanges= */ false,
          /* dirtyTracking= */ false,
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
          /* writeOnlyReadable= */ false,
          /* noiommuBesideIommu= */ false,
          /* pageSizes= */ ~0xfffL);

  /**
   * What came since, oldest first. Where it is not known with which version a difference came, it
   * stands with the first of the kernels that were tried which has it: 5.10, 6.1, 6.12 or 7.2.
   */
  private static final List<Change> HISTORY =
      List.of(
          Change.since(5, 4, k -> k.iovaRanges = true),
          Change.since(5, 8, k -> k.dirtyTracking = true),
          Change.since(5, 10, k -> k.writeOnlyReadable = true),
          Change.since(5, 12, k -> k.vaddrUpdate = true),
          Change.since(
              5,
              19,
              k -> {
                k.ownership = true;
                k.noiommuBesideIommu = true;
              }),
          Change.since(
              6,
              1,
              k -> {
                k.unwindsPartialAttach = true;
                k.attachReplacesForeignDomain = false;
                k.vaddrMovesOwner = true;
                k.nestingRefused = Errno.EINVAL;
                k.badContainerFd = Errno.EBADF;
                k.containerFdFirst = true;
                k.deviceNameFirst = true;
                k.forcedDetachOnUnbind = true;
                k.foreignUnmapStops = false;
                k.pageSizes = 0x40201000L;
              }),
          Change.since(6, 2, k -> k.foreignContainerFd = Errno.EBADFD),
          Change.since(6, 6, k -> k.rmrrRefusedAtClaim = true),
          Change.since(
              6,
              12,
              k -> {
                k.removalHidesDevice = true;
                k.alignedCapabilities = true;
              }),
          Change.since(
              7,
              2,
              k -> {
                k.nestingKnown = false;
                k.nestingRefused = Errno.ENODEV;
                k.overflow = Errno.EOVERFLOW;
                k.sizeBeforeOverflow = true;
                k.topUnmapIsEmpty = false;
                k.writeOnlyReadable = false;
              }));

  /** Linux 5.10: the seed's world, default-domain rule and viability by driver. */
  public static final KernelProfile LINUX_5_10 = of(new KernelVersion(5, 10));

  /** Linux 6.1: DMA ownership. The default. */
  public static final KernelProfile LINUX_6_1 = of(new KernelVersion(6, 1));

  /** Linux 6.12. */
  public static final KernelProfile LINUX_6_12 = of(new KernelVersion(6, 12));

  /** Linux 7.2: nesting is gone, ranges that wrap have an errno of their own. */
  public static final KernelProfile LINUX_7_2 = of(new KernelVersion(7, 2));

  /** What a caller gets who does not choose: 6.1, with backed and aux mediated devices. */
  public static final KernelProfile DEFAULT = LINUX_6_1;

  /** The profiles of the kernels that were tried, oldest first. */
  public static List<KernelProfile> all() {
    return List.of(LINUX_5_3, LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_7_2);
  }

  /**
   * The profile of a version: 5.3 with all that came until then. One that is older than 5.3 is
   * answered for as 5.3, and one that is newer than 7.2 as 7.2, as no other differences are known.
   */
  public static KernelProfile of(KernelVersion version) {
    KernelVersion oldest = new KernelVersion(5, 3);
    KernelVersion newest = HISTORY.getLast().since();
    KernelVersion known =
        version.isBefore(oldest) ? oldest : newest.isBefore(version) ? newest : version;
    Changes changes = new Changes(LINUX_5_3);
    HISTORY.stream()
        .filter(c -> !known.isBefore(c.since()))
        .forEach(c -> c.change().accept(changes));
    return changes.profile(known.toString());
  }

  /** The profile of that name among those of the kernels that were tried, if there is one. */
  public static Optional<KernelProfile> named(String name) {
    return all().stream().filter(p -> p.name().equals(name)).findFirst();
  }

  @Override
  public String toString() {
    return name;
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
