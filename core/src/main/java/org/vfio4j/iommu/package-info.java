// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * IOMMU groups, domains, translation and faults: what {@code drivers/iommu} is to the kernel.
 *
 * <p>A machine with one group, and memory that its device reads:
 *
 * {@snippet :
 * SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
 * IommuGroup nics = iommu.addGroup(1, IommuUnit.VT_D, List.of());
 * SoftFunction nic = SoftFunction.endpoint("0000:01:00.0", 0x8086, 0x1521);
 * iommu.addDevice(nics, nic);
 * try (Container vm =
 *     new Container("vm", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters())) {
 *   vm.attach(nics);
 *   MemorySegment memory = Arena.ofAuto().allocate(0x2000, 0x1000);
 *   AddressSpace process = new AddressSpace();
 *   long address = process.place(memory);
 *   vm.map(process, address, 0x10000, 0x2000, Container.MAP_READ);
 *   iommu.port(nic).read(0x10000, MemorySegment.ofArray(new byte[16]));
 * }
 * }
 */
@NullMarked
package org.vfio4j.iommu;

import org.jspecify.annotations.NullMarked;
