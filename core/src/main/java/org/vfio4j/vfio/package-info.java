// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The VFIO core: the user API as one process sees it, over groups, containers and drivers.
 *
 * <p>What a VMM does before a device is its own:
 *
 * {@snippet :
 * SoftMachine machine = new SoftMachine(KernelProfile.DEFAULT);
 * IommuGroup nics = machine.addGroup(1, IommuUnit.VT_D, List.of());
 * machine.addFunction(SoftFunction.endpoint("0000:01:00.0", 0x8086, 0x1521), Optional.of(nics));
 * machine.bind("0000:01:00.0", "vfio-pci");
 * Vfio vmm = machine.process("vmm");
 * int vm = vmm.container();
 * int fd = vmm.group("0000:01:00.0");
 * vmm.setContainer(fd, vm);
 * vmm.setIommu(vm, Type1.V2.number());
 * int device = vmm.deviceFd(fd, Optional.of("0000:01:00.0"));
 * }
 */
@NullMarked
package org.vfio4j.vfio;

import org.jspecify.annotations.NullMarked;
