// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Set;

/** A duty for the host itself: a function that has one must not be taken unless asked by name. */
public enum Role {
  /** Carries the disk that the host boots from or runs on. */
  BOOT_DISK("bootDisk"),
  /** Carries the network through which the host is managed (its default route). */
  MANAGEMENT_NETWORK("managementNetwork"),
  /** Carries the console: the VGA that firmware chose ({@code boot_vga} in sysfs). */
  CONSOLE("console"),
  /**
   * Carries another block device that the host uses: mounted, swapping, or a part of LVM, MD RAID,
   * ZFS, bcache or the like.
   */
  STORAGE("storage"),
  /**
   * Carries another network interface that the host uses: one that is up and has an address, or is
   * a part of a bridge, a bond or the like.
   */
  NETWORK("network");

  /**
   * Base classes of what a disk can hang on: storage, memory, SD and serial buses, unclassified.
   */
  private static final Set<Integer> DISKS = Set.of(0x00, 0x01, 0x05, 0x08, 0x0c, 0xff);

  /** Base classes of what can be a network card, or have one behind it. */
  private static final Set<Integer> NETWORKS = Set.of(0x00, 0x02, 0x0c, 0x0d, 0xff);

  private static final int DISPLAY = 0x03;

  private final String word;

  Role(String word) {
    this.word = word;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }

  /**
   * Whether a function can have this role at all, by its class: no sound card carries a disk. A
   * function of unknown class can have any. Where a source does not say who has a role, only such
   * functions are in question.
   */
  public boolean isPossibleFor(PciFunction function) {
    return function
        .classCode()
        .map(
            c ->
                switch (this) {
                  case BOOT_DISK, STORAGE -> DISKS.contains(c.base());
                  case MANAGEMENT_NETWORK, NETWORK -> NETWORKS.contains(c.base());
                  case CONSOLE -> c.base() == DISPLAY;
                })
        .orElse(true);
  }
}
