// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The VFIO core: the user API as one process sees it, over groups, containers and drivers. */
@NullMarked
package org.vfio4j.vfio;

import org.jspecify.annotations.NullMarked;
