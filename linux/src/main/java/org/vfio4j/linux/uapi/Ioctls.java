// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

/**
 * Requests of {@code linux/vfio.h}, by their names there: {@code _IO(';', nr)}. One number has
 * several names, since it means something else on a container, a group and a device.
 */
@SuppressWarnings("MemberName")
public final class Ioctls {
  public static final int VFIO_GET_API_VERSION = 0x3b64;
  public static final int VFIO_CHECK_EXTENSION = 0x3b65;
  public static final int VFIO_SET_IOMMU = 0x3b66;

  public static final int VFIO_GROUP_GET_STATUS = 0x3b67;
  public static final int VFIO_GROUP_SET_CONTAINER = 0x3b68;
  public static final int VFIO_GROUP_UNSET_CONTAINER = 0x3b69;
  public static final int VFIO_GROUP_GET_DEVICE_FD = 0x3b6a;

  public static final int VFIO_DEVICE_GET_INFO = 0x3b6b;
  public static final int VFIO_DEVICE_GET_REGION_INFO = 0x3b6c;
  public static final int VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d;
  public static final int VFIO_DEVICE_SET_IRQS = 0x3b6e;
  public static final int VFIO_DEVICE_RESET = 0x3b6f;
  public static final int VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70;
  public static final int VFIO_DEVICE_PCI_HOT_RESET = 0x3b71;
  public static final int VFIO_DEVICE_FEATURE = 0x3b75;

  public static final int VFIO_IOMMU_GET_INFO = 0x3b70;
  public static final int VFIO_IOMMU_MAP_DMA = 0x3b71;
  public static final int VFIO_IOMMU_UNMAP_DMA = 0x3b72;
  public static final int VFIO_IOMMU_DIRTY_PAGES = 0x3b75;

  private Ioctls() {}
}
