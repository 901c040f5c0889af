// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The type1 IOMMU driver of VFIO: containers' domains, the one attachment list, DMA mappings. */
@NullMarked
package org.vfio4j.type1;

import org.jspecify.annotations.NullMarked;
