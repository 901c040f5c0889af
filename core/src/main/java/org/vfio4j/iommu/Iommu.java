// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Holder;

/**
 * What type1 needs of an IOMMU: the one seam between the tracking and the hardware. {@link
 * SoftIommu} answers from page tables in the heap.
 *
 * <p>Every method may throw {@link org.vfio4j.error.VfioException} with the kernel's errno, except
 * those that give something back, which cannot fail.
 */
public interface Iommu {
  /**
   * Takes a reference on the device's group ({@code iommu_group_get}); empty where it has none.
   * Each must be given back with {@link #release}.
   */
  Optional<IommuGroup> acquireGroup(Device device);

  /** Gives a reference back ({@code iommu_group_put}). */
  void release(IommuGroup group);

  /**
   * A new, empty domain for the IOMMU that serves the group ({@code iommu_domain_alloc}). It must
   * be closed, after the last group has left it.
   */
  IommuDomain allocate(IommuGroup group);

  /** A new, empty domain for a device's PASIDs; see {@link IommuDomain#attachAux}. */
  IommuDomain allocateAux(Device parent);

  /**
   * Makes {@code owner} the one address space that may attach the group, checked and set under the
   * group's own lock: exclusivity that does not rest on the default-domain rule.
   *
   * @throws org.vfio4j.error.VfioException EBUSY if somebody else holds the group
   */
  void hold(IommuGroup group, Owner owner);

  /** Ends {@link #hold}. Does nothing if {@code owner} does not hold the group. */
  void unhold(IommuGroup group, Owner owner);

  /**
   * Claims the group's DMA for user space ({@code iommu_group_claim_dma_owner}); counts up.
   *
   * @throws org.vfio4j.error.VfioException EPERM if a host driver uses a member
   */
  void claim(IommuGroup group);

  /** Gives one claim back. */
  void unclaim(IommuGroup group);

  /** Whether no member is bound to a driver of the host ({@code vfio_group_viable}). */
  boolean viable(IommuGroup group);

  /** The group's reserved regions, merged from its devices and the platform. */
  List<ReservedRegion> reservedRegions(IommuGroup group);

  /** Whether the interrupts of the device are remapped, so that it can forge none. */
  boolean isolatesInterrupts(Device device);

  /** An address space that can hold a group: a container. */
  interface Owner {
    /** Who it is and through which devices it has the group, for error messages. */
    Holder holder(IommuGroup group);
  }
}
