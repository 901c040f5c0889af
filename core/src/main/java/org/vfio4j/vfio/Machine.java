// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.profile.KernelProfile;

/**
 * What {@link EngineVfio} needs of the machine that it stands on: its devices and groups, and what
 * opening them takes. Calls come from many threads at once, and without the machine's lock ({@link
 * VfioCore#lock}) unless told: an implementation takes it for what it keeps, and leaves it before
 * it does anything that may take long. What is refused throws {@link
 * org.vfio4j.error.VfioException}.
 */
public interface Machine {
  /** Whose answers the user API gives. */
  KernelProfile profile();

  /** Groups and containers of this machine; one for all its processes. */
  VfioCore core();

  /** A device by name: a PCI address, or a mediated device's UUID. */
  Optional<Device> device(String name);

  /** The IOMMU group of a device. */
  Optional<IommuGroup> groupOf(String device);

  /** The group of that number. */
  Optional<IommuGroup> group(int number);

  /** Tells {@link #core} which members of the group have a VFIO driver now, where that changes. */
  void refresh(IommuGroup group);

  /**
   * Somebody is the first to open the group; nobody else opens or closes it meanwhile. EBUSY if a
   * stranger to this machine has it.
   */
  void openGroup(IommuGroup group);

  /** The last descriptor of the group, or of a device of it, is closed. Cannot fail. */
  void closeGroup(IommuGroup group);

  /**
   * Whether a device can be opened at all: EACCES for a wrong token, EINVAL for an option that is
   * not wanted, ENODEV for one on its way out. Called with the machine's lock held.
   *
   * @param option what stands behind the device's name, or nothing
   */
  void checkOption(Device device, String option);

  /**
   * Opens a device. Its group stays attached meanwhile.
   *
   * @param asked its name as GET_DEVICE_FD was given it
   */
  DeviceFile openDevice(IommuGroup group, Device device, String asked);

  /** Something was given back: who waited only for that may go. Cannot fail. */
  void letGo();
}
