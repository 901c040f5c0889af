// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.Optional;

/**
 * A client that another process has served, and that is to be served on: it has noticed nothing.
 *
 * @param connection the name under which its connection is kept
 * @param agreed what the connection keeps to
 * @param reply what it may be waiting for
 * @param alive when that process lived still, of {@link System#nanoTime}: what is in the socket may
 *     have waited since then
 */
public record LeftClient(String connection, Agreed agreed, Optional<LeftReply> reply, long alive) {}
