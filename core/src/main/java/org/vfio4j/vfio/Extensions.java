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
   * Asks the container's driver, or all drivers where it has none.
   *
   * @return 1 if the extension is there, 0 if not or unknown
   */
  static int check(int extension, KernelProfile profile, Optional<Container> iommu) {
    boolean there =
        switch (extension) {
          case TYPE1, TYPE1V2 -> true;
          case NESTING -> profile.nestingKnown();
          case UNMAP_ALL -> profile.vaddrUpdate();
          case UPDATE_VADDR ->
              profile.vaddrUpdate() && iommu.map(c -> !c.hasEmulated()).orElse(false);
          case DMA_CC -> iommu.map(Container::coherent).orElse(false);
          default -> false;
        };
    return there ? 1 : 0;
  }
}
