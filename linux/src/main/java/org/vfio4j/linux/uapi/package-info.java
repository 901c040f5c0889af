// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * {@code linux/vfio.h} in Java: its numbers, its structs, and one method for each of its calls.
 *
 * <p>A group's container, call by call:
 *
 * {@snippet :
 * SystemCalls calls = SystemCalls.libc();
 * try (ContainerCalls vm = ContainerCalls.open(calls);
 *     GroupCalls nics = GroupCalls.open(calls, 12)) {
 *   nics.setContainer(vm);
 *   vm.setIommu(VfioConstants.VFIO_TYPE1v2_IOMMU);
 *   try (DeviceCalls nic = nics.device("0000:01:00.0")) {
 *     System.out.println(nic.info());
 *   }
 * }
 * }
 */
@NullMarked
package org.vfio4j.linux.uapi;

import org.jspecify.annotations.NullMarked;
