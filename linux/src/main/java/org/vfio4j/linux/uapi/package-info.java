// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** {@code linux/vfio.h} in Java: its numbers, its structs, and one method for each of its calls. */
@NullMarked
package org.vfio4j.linux.uapi;

import org.jspecify.annotations.NullMarked;
