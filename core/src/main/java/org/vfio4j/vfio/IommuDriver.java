// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.type1.Container;

/**
 * What SET_IOMMU gave a container: the driver that its groups are attached to and that answers its
 * ioctls ({@code struct vfio_iommu_driver_ops}). There are two, and a container has one of them.
 */
sealed interface IommuDriver {
  /** {@code attach_group}. */
  void attach(IommuGroup group);

  /** {@code detach_group}. Cannot fail. */
  void detach(IommuGroup group);

  /** {@code release}, when the last group has left. Cannot fail. */
  void release();

  /** What maps memory, for calls that want that. ENOTTY where there is nothing to map it in. */
  Container type1();

  /** {@code vfio_iommu_type1}: an IOMMU translates, and the engine tracks who uses it. */
  record OfType1(Container container) implements IommuDriver {
    @Override
    public void attach(IommuGroup group) {
      container.attach(group);
    }

    @Override
    public void detach(IommuGroup group) {
      container.detach(group);
    }

    @Override
    public void release() {
      container.close();
    }

    @Override
    public Container type1() {
      return container;
    }
  }

  /**
   * {@code vfio-noiommu}: nothing translates, so there is nothing to attach, to track or to map.
   * {@link Noiommu} has the rules of who may.
   */
  record OfNoiommu() implements IommuDriver {
    /** {@code vfio_noiommu_attach_group}. */
    @Override
    public void attach(IommuGroup group) {
      // No hardware stands between the group's device and memory.
    }

    /** {@code vfio_noiommu_detach_group}. */
    @Override
    public void detach(IommuGroup group) {
      // As above.
    }

    /** {@code vfio_noiommu_release}. */
    @Override
    public void release() {
      // Nothing was allocated.
    }

    /** {@code vfio_noiommu_ioctl}: it has none, whatever the argument. */
    @Override
    public Container type1() {
      throw Descriptors.unknownCall();
    }
  }
}
