// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.mdev;

import org.vfio4j.iommu.Device;

/**
 * A device behind a driver of its own ({@code struct mdev_device}), alone in an IOMMU group that no
 * IOMMU serves. Identity is the object's: a UUID can come back for another device.
 */
public final class MediatedDevice implements Device {
  private final String uuid;
  private final String type;
  private final Device parent;
  private final Isolation isolation;

  /**
   * A device of a parent.
   *
   * @param uuid its name
   * @param type the parent's name for its type
   * @param parent the function it was made of
   * @param isolation what keeps its DMA apart
   */
  public MediatedDevice(String uuid, String type, Device parent, Isolation isolation) {
    this.uuid = uuid;
    this.type = type;
    this.parent = parent;
    this.isolation = isolation;
  }

  @Override
  public String name() {
    return uuid;
  }

  @Override
  public Bus bus() {
    return Bus.MDEV;
  }

  /** The parent's name for its type. */
  public String type() {
    return type;
  }

  /** The function it was made of. */
  public Device parent() {
    return parent;
  }

  /** What keeps its DMA apart. */
  public Isolation isolation() {
    return isolation;
  }

  @Override
  public String toString() {
    return uuid;
  }
}
