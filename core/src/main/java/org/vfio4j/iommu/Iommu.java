// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.List;
import java.util.Optional;

/**
 * What type1 needs of an IOMMU: the one seam between the tracking and the hardware. {@link
 * SoftIommu} answers from page tables in the heap, and module {@code linux} has one that is the
 * kernel's.
 *
 * <p>Every method may throw {@link org.vfio4j.error.VfioException} with the kernel's errno, except
 * those that give something back, which cannot fail. Who may attach a group is not the hardware's
 * to say: see {@link Ownership}.
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
   * Opens the group for the address space that {@linkplain Ownership#take owns} it, where the
   * hardware has something to open ({@code open("/dev/vfio/N")}). Each call is ended by one {@link
   * #close}.
   *
   * @throws org.vfio4j.error.VfioException EBUSY if a stranger to this process has it, or if it
   *     {@linkplain GroupState#LINGERING lingers}: the refusal names who had it
   */
  void open(IommuGroup group);

  /** Ends one {@link #open}. */
  void close(IommuGroup group);

  /** In whose hands a group is. Of one that lingers the hardware is asked whether it still does. */
  GroupState state(IommuGroup group);

  /**
   * Has something done once a group does not {@linkplain GroupState#LINGERING linger}: at once if
   * it does not now, else by the call of {@link #settle}, {@link #state} or {@link #open} that
   * finds it so, in the thread of that call and with no lock of the group held. Somebody else may
   * have opened the group by then.
   *
   * @param then is done once; the next owner attaches the group there, instead of failing
   */
  void onFree(IommuGroup group, Runnable then);

  /**
   * Asks the hardware which of the groups that linger are free now. The kernel tells nobody of it
   * by itself, so somebody calls this from time to time while {@link #onFree} has somebody waiting.
   */
  void settle();

  /**
   * Puts the group's DMA at user space's disposal, for its first {@linkplain Ownership#claim
   * claim}. The group's lock is held.
   *
   * @throws org.vfio4j.error.VfioException EPERM if a host driver uses a member, EINVAL if firmware
   *     keeps one, EBUSY if the group {@linkplain GroupState#LINGERING lingers}
   */
  void claim(IommuGroup group);

  /** Ends {@link #claim}, when the last claim is given back. The group's lock is held. */
  void unclaim(IommuGroup group);

  /** Whether no member is bound to a driver of the host ({@code vfio_group_viable}). */
  boolean viable(IommuGroup group);

  /** The group's reserved regions, merged from its devices and the platform. */
  List<ReservedRegion> reservedRegions(IommuGroup group);

  /** Whether the interrupts of the device are remapped, so that it can forge none. */
  boolean isolatesInterrupts(Device device);
}
