// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** For who writes a driver. */
@NullMarked
package org.vfio4j.linux.device;

import org.jspecify.annotations.NullMarked;
