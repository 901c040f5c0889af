// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * System calls and what they hand out: descriptors, mapped memory, eventfds, sockets that carry
 * descriptors. {@link org.vfio4j.posix.SystemCalls} answers as the kernel does, with a negative
 * errno; everything above it throws.
 */
@NullMarked
package org.vfio4j.posix;

import org.jspecify.annotations.NullMarked;
