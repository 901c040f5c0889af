// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** Benchmarks, each beside a baseline of our own; started by {@code bench/run}. */
@NullMarked
package org.vfio4j.bench;

import org.jspecify.annotations.NullMarked;
