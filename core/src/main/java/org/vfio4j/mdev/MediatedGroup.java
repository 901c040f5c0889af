// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.mdev;

import java.util.List;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Ownership;

/**
 * The IOMMU group of a mediated device that is this process's own doing: the device is alone in it,
 * and no IOMMU knows it. What is attached for a wrapped one is the group of the function.
 */
public final class MediatedGroup implements IommuGroup {
  private final int id;
  private final MediatedDevice device;
  private final Ownership ownership = new Ownership(this);

  /**
   * A group of one device.
   *
   * @param id a number that no other group goes by
   */
  public MediatedGroup(int id, MediatedDevice device) {
    this.id = id;
    this.device = device;
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public List<MediatedDevice> devices() {
    return List.of(device);
  }

  @Override
  public Ownership ownership() {
    return ownership;
  }

  @Override
  public String toString() {
    return "group " + id;
  }
}
