// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** IOMMU groups, domains, translation and faults: what {@code drivers/iommu} is to the kernel. */
@NullMarked
package org.vfio4j.iommu;

import org.jspecify.annotations.NullMarked;
