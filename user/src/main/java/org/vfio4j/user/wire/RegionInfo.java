// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.error.Errno;

/**
 * GET_REGION_INFO: size and flags of a region, and which parts of it can be mapped. Command and
 * reply have the same form; a command has no capabilities. The descriptor to map comes beside the
 * reply.
 *
 * <pre>
 *  0               4               8              12              16
 *  +---------------+---------------+---------------+---------------+
 *  |     argsz     |     flags     |     index     |  cap_offset   |
 *  +---------------+---------------+---------------+---------------+
 *  |             size              |      offset to give mmap      |
 *  +-------------------------------+-------------------------------+ 32
 *  flags: bit 0 readable, 1 writable, 2 can be mapped, 3 has capabilities
 *
 *  a capability, cap_offset bytes from the beginning of this structure:
 *  0       2       4               8              12              16
 *  +-------+-------+---------------+---------------+---------------+
 *  |  id   |version|     next      |     areas     |   reserved    |   id 1: sparse mmap
 *  +-------+-------+---------------+---------------+---------------+
 *  |            offset             |             size              |   and so on
 *  +-------------------------------+-------------------------------+
 *  next: 0, or where the next one is, from the beginning of this structure; id 3 is of eight bytes
 *  and says that the pages of the MSI-X table can be mapped like the others
 * </pre>
 *
 * @param argsz in a command bytes at most of the reply's payload, in a reply bytes that it needs
 * @param flags as drawn
 * @param index of the region
 * @param size bytes of the region
 * @param offset where the region starts in its file
 * @param areas which parts can be mapped; none with {@link #MMAP} means all of it
 * @param msixMappable whether the pages of the MSI-X table may be mapped with the others
 */
public record RegionInfo(
    int argsz, int flags, int index, long size, long offset, List<Area> areas, boolean msixMappable)
    implements Message {
  /** Bytes without capabilities. */
  public static final int SIZE = 32;

  public static final int READ = 1;
  public static final int WRITE = 2;
  public static final int MMAP = 4;
  public static final int CAPS = 8;

  private static final int CAP_SPARSE_MMAP = 1;
  private static final int CAP_MSIX_MAPPABLE = 3;
  private static final int CAP_EMPTY = 8;
  private static final int CAP_HEADER = 16;
  private static final int AREA = 16;

  /**
   * A part of a region.
   *
   * @param offset bytes into the region
   * @param size bytes
   */
  public record Area(long offset, long size) {}

  /** Copies the list. */
  public RegionInfo {
    areas = List.copyOf(areas);
  }

  /** A command as a client sends it. */
  public static RegionInfo of(int index, int argsz) {
    return new RegionInfo(argsz, 0, index, 0, 0, List.of(), false);
  }

  /** A reply that says itself how much room it needs and whether it has capabilities. */
  public static RegionInfo reply(
      int flags, int index, long size, long offset, List<Area> areas, boolean msixMappable) {
    int caps = capabilities(areas, msixMappable);
    int told = flags & ~CAPS | (caps == 0 ? 0 : CAPS);
    return new RegionInfo(SIZE + caps, told, index, size, offset, areas, msixMappable);
  }

  private static int capabilities(List<Area> areas, boolean msixMappable) {
    int sparse = areas.isEmpty() ? 0 : CAP_HEADER + AREA * areas.size();
    return sparse + (msixMappable ? CAP_EMPTY : 0);
  }

  /** Reads a command: of all fields but {@code argsz} and {@code index} nothing is taken. */
  public static RegionInfo parse(MemorySegment from, long at, long size) {
    int argsz = Fields.argsz(Command.GET_REGION_INFO, from, at, size, SIZE);
    return of(Fields.get32(from, at + 8), argsz);
  }

  /**
   * Reads a reply. Capabilities of other kinds are skipped; one that was left out for want of room
   * is not missed: {@code argsz} says how much is needed.
   *
   * @throws MessageException EINVAL if the list leaves the payload or goes in circles
   */
  public static RegionInfo parseReply(MemorySegment from, long at, long size) {
    Fields.atLeast(Command.GET_REGION_INFO, size, SIZE);
    int argsz = Fields.get32(from, at);
    int flags = Fields.get32(from, at + 4);
    List<Area> areas = new ArrayList<>();
    boolean msixMappable = false;
    if ((flags & CAPS) != 0 && size >= Integer.toUnsignedLong(argsz)) {
      long next = Integer.toUnsignedLong(Fields.get32(from, at + 12));
      // Offsets must grow: that ends every list and is how every server lays it out.
      long floor = SIZE;
      while (next != 0) {
        if (next < floor || next + 8 > size) {
          throw new MessageException(
              "capability outside of the region info: offset=%d, payload=%d".formatted(next, size));
        }
        msixMappable |= Fields.get16(from, at + next) == CAP_MSIX_MAPPABLE;
        parseCapability(from, at, next, size, areas);
        floor = next + 8;
        next = Integer.toUnsignedLong(Fields.get32(from, at + next + 4));
      }
    }
    return new RegionInfo(
        argsz,
        flags,
        Fields.get32(from, at + 8),
        Fields.get64(from, at + 16),
        Fields.get64(from, at + 24),
        areas,
        msixMappable);
  }

  private static void parseCapability(
      MemorySegment from, long at, long cap, long size, List<Area> areas) {
    if (Fields.get16(from, at + cap) != CAP_SPARSE_MMAP) {
      return;
    }
    long count = -1;
    if (cap + CAP_HEADER <= size) {
      count = Integer.toUnsignedLong(Fields.get32(from, at + cap + 8));
    }
    if (count < 0 || cap + CAP_HEADER + AREA * count > size) {
      throw new MessageException(
          "sparse areas outside of the region info: areas=%d, payload=%d".formatted(count, size));
    }
    for (long i = 0; i < count; i++) {
      long area = at + cap + CAP_HEADER + AREA * i;
      areas.add(new Area(Fields.get64(from, area), Fields.get64(from, area + 8)));
    }
  }

  @Override
  public int command() {
    return Command.GET_REGION_INFO;
  }

  @Override
  public int length() {
    return SIZE + capabilities(areas, msixMappable);
  }

  @Override
  public void encode(MemorySegment to, long at) {
    encodeFixed(to, at);
    if (msixMappable) {
      encodeHeader(to, at, SIZE, CAP_MSIX_MAPPABLE, areas.isEmpty() ? 0 : SIZE + CAP_EMPTY);
    }
    if (!areas.isEmpty()) {
      encodeAreas(to, at, SIZE + (msixMappable ? CAP_EMPTY : 0));
    }
  }

  private static void encodeHeader(MemorySegment to, long at, long cap, int kind, int next) {
    Fields.put16(to, at + cap, kind);
    Fields.put16(to, at + cap + 2, 1);
    Fields.put32(to, at + cap + 4, next);
  }

  private void encodeAreas(MemorySegment to, long at, long offset) {
    encodeHeader(to, at, offset, CAP_SPARSE_MMAP, 0);
    long cap = at + offset;
    Fields.put32(to, cap + 8, areas.size());
    Fields.put32(to, cap + 12, 0);
    long next = cap + CAP_HEADER;
    for (Area area : areas) {
      Fields.put64(to, next, area.offset());
      Fields.put64(to, next + 8, area.size());
      next += AREA;
    }
  }

  /**
   * Writes the fixed part only, for who asked with too little room. It says where the capabilities
   * would be, since QEMU takes a reply that has some but does not say where for a broken one.
   */
  public void encodeFixed(MemorySegment to, long at) {
    Fields.put32(to, at, argsz);
    Fields.put32(to, at + 4, flags);
    Fields.put32(to, at + 8, index);
    Fields.put32(to, at + 12, capabilities(areas, msixMappable) == 0 ? 0 : SIZE);
    Fields.put64(to, at + 16, size);
    Fields.put64(to, at + 24, offset);
  }

  /** The same, refused if a region has so many areas that no message could tell of them. */
  public RegionInfo checked(long maxPayload) {
    if (length() > maxPayload) {
      throw new MessageException(
          Errno.E2BIG, "too many areas: areas=%d, payload=%d".formatted(areas.size(), maxPayload));
    }
    return this;
  }
}
