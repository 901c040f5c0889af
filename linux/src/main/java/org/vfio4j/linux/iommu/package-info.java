// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The engine on the kernel's own VFIO: an {@link org.vfio4j.iommu.Iommu} whose domains are
 * containers of the kernel, and the machine that back end {@code linux} of the user API stands on.
 *
 * <p>The engine's own container, with the kernel's below it:
 *
 * {@snippet :
 * LinuxIommu iommu = LinuxIommu.ofThisProcess();
 * IommuGroup nics = iommu.groupOf("0000:01:00.0").orElseThrow();
 * try (Container vm =
 *     new Container("vm", iommu, KernelProfile.LINUX_6_1, Type1.V2, new Type1Parameters())) {
 *   vm.attach(nics);
 * }
 * }
 */
@NullMarked
package org.vfio4j.linux.iommu;

import org.jspecify.annotations.NullMarked;
