// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Op scripts: scenarios written as a user of VFIO would live them. */
@NullMarked
package org.vfio4j.replay;

import org.jspecify.annotations.NullMarked;
