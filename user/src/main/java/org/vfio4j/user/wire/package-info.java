// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The messages of the vfio-user protocol as they are on the socket: one record per message, its
 * layout, parsing and encoding side by side. Nothing here reads a socket or keeps state.
 *
 * <p>The beginning of every message, written and read:
 *
 * {@snippet :
 * MemorySegment message = MemorySegment.ofArray(new byte[Header.SIZE]);
 * Header.encode(message, 0, 1, Command.RESET, Header.SIZE, Header.TYPE_COMMAND, 0);
 * Header header = Header.parse(message, 0);
 * }
 */
@NullMarked
package org.vfio4j.user.wire;

import org.jspecify.annotations.NullMarked;
