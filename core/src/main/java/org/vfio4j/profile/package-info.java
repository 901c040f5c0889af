// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * What differs between kernels, as data.
 *
 * <p>A container as Linux 5.10 would have it:
 *
 * {@snippet :
 * KernelProfile kernel = KernelProfile.named("5.10").orElseThrow();
 * SoftIommu iommu = new SoftIommu(kernel);
 * Container old = new Container("vm", iommu, kernel, Type1.V2, new Type1Parameters());
 * }
 */
@NullMarked
package org.vfio4j.profile;

import org.jspecify.annotations.NullMarked;
