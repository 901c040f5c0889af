// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The messages of the vfio-user protocol as they are on the socket: one record per message, its
 * layout, parsing and encoding side by side. Nothing here reads a socket or keeps state.
 */
@NullMarked
package org.vfio4j.user.wire;

import org.jspecify.annotations.NullMarked;
