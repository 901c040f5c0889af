// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The VFIO core: the user API as one process sees it, over groups, containers and drivers. A {@link
 * org.vfio4j.vfio.Machine} says what it stands on.
 *
 * <p>What a VMM does before a device is its own, on any machine:
 *
 * {@snippet :
 * SoftMachine machine = new SoftMachine(KernelProfile.DEFAULT);
 * EngineVfio vmm = new EngineVfio("vmm", machine, new AddressSpace());
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
