// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The engine on the kernel's own VFIO: an {@link org.vfio4j.iommu.Iommu} whose domains are
 * containers of the kernel, and the machine that back end {@code linux} of the user API stands on.
 */
@NullMarked
package org.vfio4j.linux.iommu;

import org.jspecify.annotations.NullMarked;
