// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.profile.KernelProfile;

/**
 * The IOMMU as a container of one flavour may use it: what it gives for an entry, and what it must
 * be for one.
 *
 * @param iommu the hardware
 * @param profile whose answers to give
 * @param type the flavour of the container
 * @param parameters of the module, read when they are needed
 */
record Hardware(Iommu iommu, KernelProfile profile, Type1 type, Type1Parameters parameters) {
  /**
   * A reference on the group of a device.
   *
   * @throws VfioException EINVAL if it is in none
   */
  IommuGroup reference(Device device) {
    return iommu
        .acquireGroup(device)
        .orElseThrow(
            () ->
                new VfioException(
                    Errno.EINVAL,
                    Reason.NO_BACKING_GROUP,
                    device.name() + " is in no IOMMU group",
                    device.name()));
  }

  /** A domain that the entry's hardware can be moved to. */
  IommuDomain allocate(Attachment entry) {
    return entry.backing.map(iommu::allocate).orElseGet(() -> iommu.allocateAux(entry.function));
  }

  /**
   * 5.10 looks at a group's viability when a device is opened: for a wrapped one that is too late.
   *
   * @throws VfioException EINVAL if a host driver uses a member of the backing group
   */
  void checkViable(Attachment entry) {
    if (profile.ownership() || !entry.wrapped() || !parameters.viableBackingOnly()) {
      return;
    }
    if (!iommu.viable(entry.backing.orElseThrow())) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.GROUP_NOT_VIABLE,
          "a driver of the host uses a member of " + entry.backing.get(),
          entry.function.name());
    }
  }

  /**
   * Refuses a device that could forge interrupts.
   *
   * @throws VfioException EPERM unless {@code allow_unsafe_interrupts} is set
   */
  void checkInterrupts(Attachment entry) {
    if (!parameters.allowUnsafeInterrupts() && !iommu.isolatesInterrupts(entry.function)) {
      throw new VfioException(
          Errno.EPERM,
          Reason.INTERRUPTS_NOT_ISOLATED,
          "interrupts of %s are not remapped".formatted(entry.function.name()),
          entry.function.name());
    }
  }
}
