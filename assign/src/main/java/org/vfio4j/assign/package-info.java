// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The answer before the failure. A {@link org.vfio4j.assign.Request} says which VM gets which
 * devices of a host; {@link org.vfio4j.assign.Check} runs it on the engine, step by step as QEMU
 * would, and gives a {@link org.vfio4j.assign.Verdict}.
 */
@NullMarked
package org.vfio4j.assign;

import org.jspecify.annotations.NullMarked;
