// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Taking back what was done of something that was refused half way. Not for users of the module.
 */
@NullMarked
package org.vfio4j.unwind;

import org.jspecify.annotations.NullMarked;
