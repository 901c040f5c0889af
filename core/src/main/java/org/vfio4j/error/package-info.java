// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** How a refusal speaks: the errno, a stable code, the call, the holder. */
@NullMarked
package org.vfio4j.error;

import org.jspecify.annotations.NullMarked;
