// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;

/** The flavours of the type1 driver, by the number SET_IOMMU takes. */
public enum Type1 {
  /** VFIO_TYPE1_IOMMU: an unmap may remove more than it names. */
  V1(1),
  /** VFIO_TYPE1v2_IOMMU: an unmap never cuts a mapping. */
  V2(3),
  /** VFIO_TYPE1_NESTING_IOMMU: v2 with two-stage translation. */
  NESTING(6);

  private final int number;

  Type1(int number) {
    this.number = number;
  }

  /** The number SET_IOMMU takes. */
  public int number() {
    return number;
  }

  /**
   * Refuses dirty page tracking where the flavour has none.
   *
   * @throws VfioException EACCES for {@link #V1}
   */
  public void checkTracksDirtyPages() {
    if (this == V1) {
      throw new VfioException(
          Errno.EACCES, Reason.NOT_SUPPORTED, "a v1 container does not track dirty pages");
    }
  }
}
