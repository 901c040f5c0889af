// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Input that cannot be used, and where in it the fault is. */
@NullMarked
package org.vfio4j.host.input;

import org.jspecify.annotations.NullMarked;
