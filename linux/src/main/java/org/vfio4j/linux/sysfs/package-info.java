// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What sysfs says of a device: its IOMMU group, its driver, who shares the group.
 *
 * <p>Who must be handed over together with a device:
 *
 * {@snippet :
 * DeviceLinks links = DeviceLinks.ofThisMachine("pci");
 * int number = links.group("0000:01:00.0").orElseThrow();
 * links.members(number).forEach(System.out::println);
 * }
 */
@NullMarked
package org.vfio4j.linux.sysfs;

import org.jspecify.annotations.NullMarked;
