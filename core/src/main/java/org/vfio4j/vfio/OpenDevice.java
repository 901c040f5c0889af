// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.Optional;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.type1.Container;

/**
 * A device that a process has open, as it was when somebody asked for it: what lies above the user
 * API, such as the port of the device's DMA, starts here.
 *
 * @param device the device
 * @param file what GET_DEVICE_FD gave
 * @param container the container that its group is in; empty for a group without an IOMMU
 * @param domain the domain that its group is on; empty for one that no IOMMU serves
 */
public record OpenDevice(
    Device device, DeviceFile file, Optional<Container> container, Optional<IommuDomain> domain) {}
