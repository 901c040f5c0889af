// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * How a refusal speaks: the errno, a stable code, the call, the holder.
 *
 * <p>A group that somebody else has:
 *
 * {@snippet :
 * try {
 *   container.attach(group);
 * } catch (VfioException e) {
 *   Refusal refusal = e.refusal();
 *   System.err.println(refusal.errno() + " from " + refusal.call() + ": " + refusal.message());
 *   refusal.holder().ifPresent(holder -> System.err.println(holder.name() + " has it"));
 * }
 * }
 */
@NullMarked
package org.vfio4j.error;

import org.jspecify.annotations.NullMarked;
