// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Back end {@code kernel}: what Linux itself answers, with no rule of ours in between. */
@NullMarked
package org.vfio4j.replay.kernel;

import org.jspecify.annotations.NullMarked;
