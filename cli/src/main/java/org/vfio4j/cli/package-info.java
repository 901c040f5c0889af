// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The {@code vfio} command: what it reads, and how it prints what the other modules find out. */
@NullMarked
package org.vfio4j.cli;

import org.jspecify.annotations.NullMarked;
