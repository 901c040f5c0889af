// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.Optional;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;

/** What CHECK_EXTENSION answers. */
final class Extensions {
  private static final int TYPE1 = 1;
  private static final int TYPE1V2 = 3;
  private static final int DMA_CC = 4;
  private static final int NESTING = 6;
  private static final int UNMAP_ALL = 9;
  private static final int UPDATE_VADDR = 10;

  private Extensions() {}

  /**
   * Asks the container's driver, or all drivers where it has none; its groups, if there are any,
   * leave one of them ({@code vfio_container_ioctl_check_extension}).
   *
   * @return 1 if the extension is there, 0 if not or unknown
   */
  static int check(
      int extension, KernelProfile profile, VfioParameters parameters, VfioContainer container) {
    boolean noiommu = container.groups.isEmpty() || container.noiommu();
    boolean type1 = container.groups.isEmpty() || !container.noiommu();
    boolean there =
        (noiommu && Noiommu.extension(extension, parameters))
            || (type1 && ofType1(extension, profile, container.iommu.map(IommuDriver::type1)));
    return there ? 1 : 0;
  }

  private static boolean ofType1(
      int extension, KernelProfile profile, Optional<Container> container) {
    return switch (extension) {
      case TYPE1, TYPE1V2 -> true;
      case NESTING -> profile.nestingKnown();
      case UNMAP_ALL -> profile.vaddrUpdate();
      case UPDATE_VADDR ->
          profile.vaddrUpdate() && container.map(c -> !c.hasEmulated()).orElse(false);
      case DMA_CC -> container.map(Container::coherent).orElse(false);
      default -> false;
    };
  }
}
