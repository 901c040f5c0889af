// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/**
 * A range of IOVAs that a group's devices or platform keep for themselves, as {@code
 * iommu_get_group_resv_regions()} and {@code /sys/kernel/iommu_groups/N/reserved_regions} give it.
 *
 * @param start first IOVA, inclusive
 * @param last last IOVA, inclusive, unsigned
 * @param type what the range is kept for
 */
public record ReservedRegion(long start, long last, Type type) {

  /** What a reserved region is for, {@code enum iommu_resv_type} of the kernel. */
  public enum Type {
    /** Identity-mapped by firmware at all times (RMRR, IVMD): locks the device to the host. */
    DIRECT,
    /** Identity-mapped by firmware for boot only (USB, graphics): may be taken over. */
    DIRECT_RELAXABLE,
    /** Never to be mapped. */
    RESERVED,
    /** The hardware's own MSI window. */
    MSI,
    /** A window in which software maps the MSI doorbell (ARM). */
    SW_MSI
  }

  /** Checks that the range is not inverted. */
  public ReservedRegion {
    if (Long.compareUnsigned(last, start) < 0) {
      throw new IllegalArgumentException(
          "inverted region: start=0x%x, last=0x%x".formatted(start, last));
    }
  }
}
