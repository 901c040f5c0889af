// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Devices that a Java program implements: what a server asks of one, and what it may use.
 *
 * <p>A PCI device is a {@link org.vfio4j.user.device.PciModel}, what it does, and what {@link
 * org.vfio4j.user.device.EmulatedDevice#builder} is told, how it looks. This is a whole one:
 *
 * {@snippet file="ChecksumDevice.java" region="example"}
 *
 * <p>To put it into a VM: {@code Server.at(path).start(ChecksumDevice.create())}.
 *
 * <p>Regions have the numbers of the kernel's interface, {@link org.vfio4j.user.device.Pci}: the
 * BARs are 0 to 5, configuration space is {@link org.vfio4j.user.device.Pci#CONFIG}.
 */
@NullMarked
package org.vfio4j.user.device;

import org.jspecify.annotations.NullMarked;
