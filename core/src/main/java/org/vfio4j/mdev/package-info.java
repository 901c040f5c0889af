// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Mediated devices: plain, backed by a wrapped function, or on an aux domain of a parent.
 *
 * <p>A function that is whole in one VM and wrapped for it, too: one use of the hardware, two
 * users:
 *
 * {@snippet :
 * SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
 * IommuGroup nics = iommu.addGroup(1, IommuUnit.VT_D, List.of());
 * SoftFunction nic = SoftFunction.endpoint("0000:01:00.0", 0x8086, 0x1521);
 * iommu.addDevice(nics, nic);
 * MediatedDevice mdev =
 *     new MediatedDevice(UUID.randomUUID().toString(), "backed", nic, new Isolation.Backed(nic));
 * IommuGroup wrapped = new MediatedGroup(2, mdev);
 * container.attach(wrapped);
 * container.attach(nics);          // the same container: attached already
 * container.useCount(nics);        // 2
 * }
 */
@NullMarked
package org.vfio4j.mdev;

import org.jspecify.annotations.NullMarked;
