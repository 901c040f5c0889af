// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Back end {@code kernel}: what Linux itself answers, with no rule of ours in between.
 *
 * <p>What the kernel of this machine answers to the first calls of a VMM:
 *
 * {@snippet :
 * try (KernelVfio vfio = new KernelVfio(SystemCalls.libc())) {
 *   int vm = vfio.container();
 *   int fd = vfio.group("0000:01:00.0");
 *   vfio.setContainer(fd, vm);
 *   vfio.setIommu(vm, Type1.V2.number());
 * }
 * }
 */
@NullMarked
package org.vfio4j.replay.kernel;

import org.jspecify.annotations.NullMarked;
