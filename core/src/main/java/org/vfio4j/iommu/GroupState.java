// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

/** In whose hands a group is, as far as this process knows; see {@link Iommu#state}. */
public enum GroupState {
  /** Nobody here has it. Whether a stranger to this process has it is told to who opens it. */
  FREE,

  /** It is open here, or claimed. */
  HELD,

  /**
   * It was given back here and is still open in the kernel: registers of a device of it are mapped,
   * or somebody who was handed a device's descriptor has not closed it. The device reaches nothing
   * that its last owner had mapped, unless a group that was in the same container still is. Nobody
   * can have the group until that has ended: EBUSY.
   */
  LINGERING
}
