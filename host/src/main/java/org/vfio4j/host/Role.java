// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

/** A duty for the host itself: a function that has one must not be taken unless asked by name. */
public enum Role {
  /** Carries the disk that the host boots from or runs on. */
  BOOT_DISK("bootDisk"),
  /** Carries the network through which the host is managed (its default route). */
  MANAGEMENT_NETWORK("managementNetwork"),
  /** Carries the console: the VGA that firmware chose ({@code boot_vga} in sysfs). */
  CONSOLE("console");

  private final String word;

  Role(String word) {
    this.word = word;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }
}
