// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.List;

/**
 * Devices that the IOMMU cannot tell apart. Identity is the object's: numbers change between boots.
 */
public interface IommuGroup {
  /** N of {@code /sys/kernel/iommu_groups/N}. */
  int id();

  /** The members now, in the order they joined. */
  List<? extends Device> devices();

  /** To whom it belongs. Its lock is this object's monitor. */
  Ownership ownership();
}
