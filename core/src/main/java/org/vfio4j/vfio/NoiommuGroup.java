// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.List;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Ownership;

/**
 * The group that VFIO makes up for a device which no IOMMU serves ({@code
 * vfio_noiommu_group_alloc}): the device is alone in it, it goes with the device's driver, and no
 * {@code Iommu} knows it. Its file is {@code /dev/vfio/noiommu-N}.
 */
public final class NoiommuGroup implements IommuGroup {
  private final int id;
  private final Device device;
  private final Ownership ownership = new Ownership(this);

  /**
   * A group for a device.
   *
   * @param id its number, which no other group of the machine has
   * @param device its only member
   */
  public NoiommuGroup(int id, Device device) {
    this.id = id;
    this.device = device;
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public List<Device> devices() {
    return List.of(device);
  }

  @Override
  public Ownership ownership() {
    return ownership;
  }

  @Override
  public String toString() {
    return "noiommu group " + id;
  }
}
