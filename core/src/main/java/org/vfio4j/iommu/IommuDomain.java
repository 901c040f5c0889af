// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * One set of page tables, {@code struct iommu_domain}. Not thread-safe by itself: its owner's lock
 * covers all calls but translation.
 */
public interface IommuDomain extends AutoCloseable {
  /**
   * Moves every device of the group onto this domain ({@code iommu_attach_group}).
   *
   * @throws org.vfio4j.error.VfioException EBUSY if another domain has it, EPERM if firmware keeps
   *     the device or its PASIDs are in use, EINVAL if its IOMMU cannot use these tables
   */
  void attach(IommuGroup group);

  /** Puts the group back on what the host uses ({@code iommu_detach_group}). Cannot fail. */
  void detach(IommuGroup group);

  /**
   * Binds a PASID of the parent to this domain ({@code iommu_aux_attach_device}); counted, so that
   * several mediated devices of one parent share the domain's PASID.
   *
   * @throws org.vfio4j.error.VfioException EPERM if the parent is not in that mode, ENODEV if it
   *     has no PASID left
   */
  void attachAux(Device parent);

  /** Undoes one {@link #attachAux}. Cannot fail. */
  void detachAux(Device parent);

  /**
   * Maps memory, or part of a file.
   *
   * @param iova first address, aligned to the smallest page size
   * @param source what is mapped, its size a multiple of the smallest page size
   * @param prot {@link Mapping#READ}, {@link Mapping#WRITE} or both
   * @throws org.vfio4j.error.VfioException EFAULT if the range is beyond the IOMMU's width, EEXIST
   *     if something is mapped there, ENODEV for a file that this IOMMU cannot map
   */
  void map(long iova, MapSource source, int prot);

  /**
   * Unmaps whatever is in the range, in bytes.
   *
   * @return the bytes that were mapped
   * @throws org.vfio4j.error.VfioException if the hardware's owner refuses, as a kernel can:
   *     devices reach all of the range as before, so its memory must stay, and nothing else can be
   *     mapped there. {@link #close} ends that too.
   */
  long unmap(long iova, long size);

  /** What the tables can address; known after the first attach. */
  IovaRange aperture();

  /** Page sizes in bytes, one bit each; known after the first attach. */
  long pageSizes();

  /** Whether DMA snoops the caches no matter what the device asks for. */
  boolean coherent();

  /** Turns two-stage translation on, before the first attach. */
  void enableNesting();

  /** Whether a group on {@code other} could as well be on this one: same driver, same coherency. */
  boolean compatible(IommuDomain other);

  /** Whether software has to map the group's MSI doorbell (ARM); does so. */
  void prepareMsi(long base);

  /** Frees the tables. No group may be attached. */
  @Override
  void close();
}
