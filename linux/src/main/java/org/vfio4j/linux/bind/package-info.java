// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Drivers of PCI functions: handing functions to VFIO and giving them back to whoever had them; and
 * the mediated devices that drivers make.
 *
 * <p>A function to vfio-pci, and back to the driver it had:
 *
 * {@snippet :
 * DriverBinding binding = DriverBinding.ofThisMachine(SystemCalls.libc());
 * binding.bind(List.of("0000:01:00.0"), DriverKind.VFIO_PCI);
 * binding.release(List.of("0000:01:00.0"));
 * }
 */
@NullMarked
package org.vfio4j.linux.bind;

import org.jspecify.annotations.NullMarked;
