// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.mdev;

import java.util.List;
import java.util.Optional;
import org.vfio4j.iommu.Device;

/** What keeps a mediated device's DMA apart from others'. */
public sealed interface Isolation {
  /** The parent's driver does, by pinning pages itself: no IOMMU is involved. */
  record Plain() implements Isolation {}

  /**
   * The IOMMU does, for the whole function that the device wraps ({@code mdev_set_iommu_device}).
   *
   * @param function the wrapped PF or VF; its group is the backing group
   */
  record Backed(Device function) implements Isolation {}

  /**
   * The IOMMU does, for one PASID of the parent.
   *
   * @param parent the function whose PASID it is
   */
  record Aux(Device parent) implements Isolation {}

  /** The one value of {@link Plain}. */
  Isolation PLAIN = new Plain();

  /**
   * What a whole group has in common. Members that disagree count as plain, as in {@code
   * vfio_mdev_iommu_device}: no error, and less isolation than the caller may think.
   */
  static Isolation common(List<? extends Device> members) {
    Optional<Isolation> first = Optional.empty();
    for (Device member : members) {
      Isolation its = member instanceof MediatedDevice m ? m.isolation() : PLAIN;
      if (first.isPresent() && !first.get().equals(its)) {
        return PLAIN;
      }
      first = Optional.of(its);
    }
    return first.orElse(PLAIN);
  }
}
