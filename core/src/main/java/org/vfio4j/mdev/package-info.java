// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Mediated devices: plain, backed by a wrapped function, or on an aux domain of a parent. */
@NullMarked
package org.vfio4j.mdev;

import org.jspecify.annotations.NullMarked;
