// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import org.vfio4j.posix.Descriptor;

/** What a client maps for DMA. */
public sealed interface DmaSource {
  /** Memory that came without a descriptor. */
  DmaSource MESSAGES = new Messages();

  /** Memory that stays with the client, which is asked for it by message; {@link RemoteMemory}. */
  record Messages() implements DmaSource {}

  /**
   * Memory of a file.
   *
   * @param file stays the caller's, who closes it after the call: a session that needs it for
   *     longer takes a {@link Descriptor#duplicate}. It may be read-only.
   * @param offset of the first byte in the file, in bytes, unsigned, as the client sent it: it may
   *     be misaligned or beyond the file's end
   */
  record File(Descriptor file, long offset) implements DmaSource {}
}
