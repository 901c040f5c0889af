// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;

/**
 * A C struct in memory, fields by name. For calls that are not hot: a name is looked up each time.
 *
 * @param layout its fields
 * @param memory where it begins; longer than the layout if an array follows
 */
public record Struct(StructLayout layout, MemorySegment memory) {
  /** A fresh one, zeroed. */
  public static Struct of(Arena arena, StructLayout layout) {
    return of(arena, layout, 0);
  }

  /**
   * A fresh one with room behind it, zeroed.
   *
   * @param more bytes after the struct's own
   */
  public static Struct of(Arena arena, StructLayout layout, long more) {
    return new Struct(layout, arena.allocate(layout.byteSize() + more, 8));
  }

  /** The same memory from an offset on, seen as another struct. */
  public Struct at(long offset, StructLayout other) {
    return new Struct(other, memory.asSlice(offset));
  }

  /** Bytes, with what follows the struct. */
  public int size() {
    return Math.toIntExact(memory.byteSize());
  }

  /** A field of 32 bits. */
  public int u32(String field) {
    return memory.get(ValueLayout.JAVA_INT_UNALIGNED, Layouts.offset(layout, field));
  }

  /** A field of 64 bits. */
  public long u64(String field) {
    return memory.get(ValueLayout.JAVA_LONG_UNALIGNED, Layouts.offset(layout, field));
  }

  /** A field of 16 bits, without sign. */
  public int u16(String field) {
    return Short.toUnsignedInt(
        memory.get(ValueLayout.JAVA_SHORT_UNALIGNED, Layouts.offset(layout, field)));
  }

  /** A field of 8 bits, without sign. */
  public int u8(String field) {
    return Byte.toUnsignedInt(memory.get(ValueLayout.JAVA_BYTE, Layouts.offset(layout, field)));
  }

  /** Sets a field of 32 bits. */
  public Struct u32(String field, int value) {
    memory.set(ValueLayout.JAVA_INT_UNALIGNED, Layouts.offset(layout, field), value);
    return this;
  }

  /** Sets a field of 64 bits. */
  public Struct u64(String field, long value) {
    memory.set(ValueLayout.JAVA_LONG_UNALIGNED, Layouts.offset(layout, field), value);
    return this;
  }
}
