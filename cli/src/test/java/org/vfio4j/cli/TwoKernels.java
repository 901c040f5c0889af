// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/** A listing of the groups of one machine under two kernels. */
final class TwoKernels {
  static final String TEXT =
      """
      Kernel 5.8:
      IOMMU Group 0 00:00.0 Host bridge [0600]: Some bridge [8086:2f00]
      IOMMU Group 1 01:00.0 VGA compatible controller [0300]: Some card [10de:2206]

      Kernel 5.9:
      IOMMU Group 0 00:00.0 Host bridge [0600]: Some bridge [8086:2f00]
      IOMMU Group 0 01:00.0 VGA compatible controller [0300]: Some card [10de:2206]
      """;

  private TwoKernels() {}
}
