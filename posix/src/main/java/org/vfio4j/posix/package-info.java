// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * System calls and what they hand out: descriptors, mapped memory, eventfds, sockets that carry
 * descriptors. {@link org.vfio4j.posix.SystemCalls} answers as the kernel does, with a negative
 * errno; everything above it throws.
 *
 * <p>Memory that another process can be handed, and an event to wait for:
 *
 * {@snippet :
 * SystemCalls calls = SystemCalls.libc();
 * try (Descriptor file = Memfd.sealed(calls, "ring", 4096);
 *     EventFd event = EventFd.create(calls)) {
 *   event.signal();
 *   event.await(Duration.ofSeconds(1));
 * }
 * }
 */
@NullMarked
package org.vfio4j.posix;

import org.jspecify.annotations.NullMarked;
