// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import org.vfio4j.type1.AddressSpace;

/**
 * RAM of a guest as QEMU's q35 lays it out. It is there to be counted and to collide, not to be
 * read: it has no bytes.
 */
final class GuestMemory {
  private static final long GIB = 1L << 30;

  /** RAM above which q35 leaves 2 GiB below 4 GiB for devices instead of 1.25 GiB. */
  private static final long LOW_LIMIT = 0xb000_0000L;

  private static final long LOW_OF_LARGE = 0x8000_0000L;
  private static final long VGA_HOLE = 0xa_0000L;
  private static final long VGA_HOLE_END = 0xc_0000L;

  /** Where the HyperTransport region of AMD hosts starts; QEMU then goes on above 1 TiB. */
  private static final long HYPERTRANSPORT = 0xfd_0000_0000L;

  /**
   * What QEMU 11.1 was seen to map beside RAM for q35 with its default devices: video memory, and
   * firmware below 4 GiB ({@code info mtree -f}).
   */
  private static final long VIDEO = 0xfd00_0000L;

  private static final long VIDEO_SIZE = 16L << 20;
  private static final long FIRMWARE = 0xfffc_0000L;
  private static final long FIRMWARE_SIZE = 256L << 10;

  /** Bytes of all that. */
  static final long BESIDE_RAM = VIDEO_SIZE + FIRMWARE_SIZE;

  private static final long VADDR = 0x10_0000_0000L;

  /**
   * A contiguous part of guest RAM.
   *
   * @param start guest physical address
   * @param size bytes
   * @param offset where it starts in the guest's memory
   */
  record Block(long start, long size, long offset) {}

  private GuestMemory() {}

  /**
   * Puts RAM and what is mapped beside it into the process; returns the address of its first byte.
   */
  static long place(AddressSpace space, long bytes) {
    space.imagine(VADDR, bytes + BESIDE_RAM);
    return VADDR;
  }

  /**
   * Where RAM of that size, and what is mapped beside it, lies for the guest, and so for devices
   * without an IOMMU in the guest.
   *
   * @param hyperTransport whether the host reserves the HyperTransport region
   */
  static List<Block> layout(long bytes, boolean hyperTransport) {
    long low = bytes >= LOW_LIMIT ? LOW_OF_LARGE : bytes;
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Block(0, Math.min(low, VGA_HOLE), 0));
    if (low > VGA_HOLE_END) {
      blocks.add(new Block(VGA_HOLE_END, low - VGA_HOLE_END, VGA_HOLE_END));
    }
    blocks.add(new Block(VIDEO, VIDEO_SIZE, bytes));
    blocks.add(new Block(FIRMWARE, FIRMWARE_SIZE, bytes + VIDEO_SIZE));
    if (bytes > low) {
      long high = bytes - low;
      boolean collides = hyperTransport && 4 * GIB + high > HYPERTRANSPORT;
      blocks.add(new Block(collides ? 1024 * GIB : 4 * GIB, high, low));
    }
    return blocks;
  }
}
