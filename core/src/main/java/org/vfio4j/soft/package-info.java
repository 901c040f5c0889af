// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * A machine in software: functions and their drivers, parents and mediated devices, an embedded
 * IOMMU, and processes that use VFIO. It needs no hardware, no privilege and no Linux.
 *
 * <p>A function with its driver, and what a VMM does before the device is its own:
 *
 * {@snippet :
 * SoftMachine machine = new SoftMachine(KernelProfile.DEFAULT);
 * IommuGroup nics = machine.addGroup(1, IommuUnit.VT_D, List.of());
 * machine.addFunction(SoftFunction.endpoint("0000:01:00.0", 0x8086, 0x1521), Optional.of(nics));
 * machine.bind("0000:01:00.0", "vfio-pci");
 * try (SoftVfio vmm = machine.process("vmm")) {
 *   int vm = vmm.container();
 *   int fd = vmm.group("0000:01:00.0");
 *   vmm.setContainer(fd, vm);
 *   vmm.setIommu(vm, Type1.V2.number());
 *   int device = vmm.deviceFd(fd, Optional.of("0000:01:00.0"));
 *   long address = vmm.memory().place(Arena.ofAuto().allocate(0x2000, 0x1000));
 *   vmm.map(vm, Vfio.MapRequest.of(address, 0x10000, 0x2000));
 *   vmm.dma(device).read(0x10000, MemorySegment.ofArray(new byte[16]));
 * }
 * }
 */
@NullMarked
package org.vfio4j.soft;

import org.jspecify.annotations.NullMarked;
