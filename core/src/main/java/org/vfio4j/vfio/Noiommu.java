// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;

/** Who may use a device without an IOMMU, and how ({@code vfio_noiommu_*} of container.c). */
final class Noiommu {
  /** {@code VFIO_NOIOMMU_IOMMU}, the extension and the type of SET_IOMMU. */
  static final int TYPE = 8;

  private Noiommu() {}

  /**
   * Such a device reaches all memory: opening its group ({@code vfio_group_fops_open}), putting the
   * group into a container and opening the device ({@code vfio_group_use_container}) each take
   * CAP_SYS_RAWIO. EPERM without; other groups take nothing of the kind.
   *
   * @param rawIo whether the caller has CAP_SYS_RAWIO
   */
  static void checkPermitted(VfioGroup group, boolean rawIo) {
    if (group.noiommu() && !rawIo) {
      throw new VfioException(
          Errno.EPERM,
          Reason.NOT_PERMITTED,
          "no IOMMU keeps %s from any memory, so its user needs CAP_SYS_RAWIO"
              .formatted(String.join(", ", names(group))),
          names(group).toArray(String[]::new));
    }
  }

  /**
   * A container has groups with an IOMMU, or groups without one ({@code
   * vfio_container_attach_group}). EPERM where they would mix.
   */
  static void checkUnmixed(VfioContainer container, VfioGroup group) {
    if (!container.groups.isEmpty() && container.noiommu() != group.noiommu()) {
      VfioGroup there = container.groups.getFirst();
      throw new VfioException(
          Errno.EPERM,
          Reason.NOIOMMU_MIXED,
          "a container takes groups without an IOMMU or others, not both: %s has none, unlike %s"
              .formatted(
                  String.join(", ", names(group.noiommu() ? group : there)),
                  String.join(", ", names(group.noiommu() ? there : group))),
          names(group).toArray(String[]::new));
    }
  }

  /** {@code vfio_noiommu_ioctl} of CHECK_EXTENSION. */
  static boolean extension(int number, VfioParameters parameters) {
    return number == TYPE && parameters.unsafeNoiommu();
  }

  /**
   * {@code vfio_noiommu_open}, for a container whose groups have no IOMMU.
   *
   * @param rawIo whether the caller has CAP_SYS_RAWIO
   * @throws VfioException ENODEV for any other type, and when the mode has been switched off
   *     meanwhile; EPERM without the capability
   */
  static IommuDriver open(int number, VfioParameters parameters, boolean rawIo) {
    if (!extension(number, parameters)) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.NOT_SUPPORTED,
          number == TYPE
              ? "enable_unsafe_noiommu_mode is off"
              : "no driver for IOMMU type %d: the container's groups have no IOMMU, which is type 8"
                  .formatted(number));
    }
    if (!rawIo) {
      throw new VfioException(
          Errno.EPERM, Reason.NOT_PERMITTED, "IOMMU type 8 (no IOMMU) needs CAP_SYS_RAWIO");
    }
    return new IommuDriver.OfNoiommu();
  }

  private static List<String> names(VfioGroup group) {
    return group.devices.stream().map(Device::name).toList();
  }
}
