// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** What {@code bench/user/run} measures beside a server in C. */
@NullMarked
package org.vfio4j.bench.user;

import org.jspecify.annotations.NullMarked;
