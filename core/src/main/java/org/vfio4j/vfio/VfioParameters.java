// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

/** The module parameters of vfio, as a machine's operator may change them any time. */
public final class VfioParameters {
  private volatile boolean unsafeNoiommu;

  /**
   * Whether a device that no IOMMU serves gets a group all the same, by which its user reaches all
   * memory of the machine. Off at first; kernels of distributions are often built without it
   * (CONFIG_VFIO_NOIOMMU), which is the same as off.
   */
  public boolean unsafeNoiommu() {
    return unsafeNoiommu;
  }

  /** Sets {@code enable_unsafe_noiommu_mode}. Groups that are there stay. */
  public void unsafeNoiommu(boolean enable) {
    unsafeNoiommu = enable;
  }
}
