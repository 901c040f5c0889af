// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

/** Request numbers of {@code linux/vfio.h}: {@code _IO(';', nr)}, one number for several kinds. */
final class Ioctl {
  static final int GET_API_VERSION = 0x3b64;
  static final int CHECK_EXTENSION = 0x3b65;
  static final int SET_IOMMU = 0x3b66;
  private static final int GROUP_GET_STATUS = 0x3b67;
  private static final int GROUP_SET_CONTAINER = 0x3b68;
  static final int GROUP_UNSET_CONTAINER = 0x3b69;
  private static final int GROUP_GET_DEVICE_FD = 0x3b6a;
  private static final int DEVICE_GET_INFO = 0x3b6b;
  static final int DEVICE_RESET = 0x3b6f;
  private static final int DEVICE_PCI_HOT_RESET = 0x3b71;
  private static final int DEVICE_FEATURE = 0x3b75;
  private static final int IOMMU_GET_INFO = 0x3b70;
  private static final int IOMMU_UNMAP_DMA = 0x3b72;
  private static final int IOMMU_DIRTY_PAGES = 0x3b75;

  private Ioctl() {}

  static boolean ofContainer(int number) {
    return (number >= IOMMU_GET_INFO && number <= IOMMU_UNMAP_DMA) || number == IOMMU_DIRTY_PAGES;
  }

  static boolean ofGroup(int number) {
    return number == GROUP_GET_STATUS
        || number == GROUP_SET_CONTAINER
        || number == GROUP_GET_DEVICE_FD;
  }

  static boolean ofDevice(int number) {
    return (number >= DEVICE_GET_INFO && number <= DEVICE_PCI_HOT_RESET)
        || number == DEVICE_FEATURE;
  }
}
