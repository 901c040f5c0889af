// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;

/**
 * What every message begins with.
 *
 * <pre>
 *  0       2       4               8               12              16
 *  +-------+-------+---------------+---------------+---------------+
 *  |  id   |command|     size      |     flags     |     error     |
 *  +-------+-------+---------------+---------------+---------------+
 *  flags: bits 0-3 type (0 command, 1 reply), bit 4 no reply wanted, bit 5 error
 * </pre>
 *
 * @param id belongs to the sender; a reply has the command's
 * @param command one of {@link Command}
 * @param size bytes of the whole message, this header included
 * @param flags as drawn
 * @param error errno, positive, in a reply with {@link #ERROR}; may be 0 even there
 */
public record Header(int id, int command, int size, int flags, int error) {
  /** Bytes of a header. */
  public static final int SIZE = 16;

  /** The bits of {@code flags} that hold the type. */
  public static final int TYPE = 0xf;

  public static final int TYPE_COMMAND = 0;
  public static final int TYPE_REPLY = 1;

  /** The sender of a command wants no reply. */
  public static final int NO_REPLY = 1 << 4;

  /** A reply that says the command failed. It has no payload. */
  public static final int ERROR = 1 << 5;

  private static final int ID_AT = 0;
  private static final int COMMAND_AT = 2;
  private static final int SIZE_AT = 4;
  private static final int FLAGS_AT = 8;
  private static final int ERROR_AT = 12;

  /** Reads a header. */
  public static Header parse(MemorySegment from, long at) {
    return new Header(
        id(from, at), command(from, at), size(from, at), flags(from, at), error(from, at));
  }

  /** The number by which a reply names its request. */
  public static int id(MemorySegment from, long at) {
    return Fields.get16(from, at + ID_AT);
  }

  /** The command's number, also of one that {@link Command} does not know. */
  public static int command(MemorySegment from, long at) {
    return Fields.get16(from, at + COMMAND_AT);
  }

  /** Bytes of the whole message; below zero if it says 2 GiB or more. */
  public static int size(MemorySegment from, long at) {
    return Fields.get32(from, at + SIZE_AT);
  }

  /** The flags: request or reply, whether a reply is wanted, whether it is an error. */
  public static int flags(MemorySegment from, long at) {
    return Fields.get32(from, at + FLAGS_AT);
  }

  /** The errno of a reply that is an error, positive; else 0. */
  public static int error(MemorySegment from, long at) {
    return Fields.get32(from, at + ERROR_AT);
  }

  /** Writes this header. */
  public void encode(MemorySegment to, long at) {
    encode(to, at, id, command, size, flags, error);
  }

  /** Writes a header without making one. */
  public static void encode(
      MemorySegment to, long at, int id, int command, int size, int flags, int error) {
    Fields.put16(to, at + ID_AT, id);
    Fields.put16(to, at + COMMAND_AT, command);
    Fields.put32(to, at + SIZE_AT, size);
    Fields.put32(to, at + FLAGS_AT, flags);
    Fields.put32(to, at + ERROR_AT, error);
  }
}
