// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** What differs between kernels, as data. */
@NullMarked
package org.vfio4j.profile;

import org.jspecify.annotations.NullMarked;
