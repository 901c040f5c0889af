// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

/** How a device is given to a VM. */
public enum Mode {
  /** The function itself, on vfio-pci. */
  WHOLE("whole", ""),
  /** The whole function behind a mediated device that it backs. */
  WRAPPED("wrapped", "wrap"),
  /** A mediated device that the host has. */
  MDEV("mdev", "mdev"),
  /** A new mediated device on an aux domain of a parent. */
  AUX("aux", "aux"),
  /** A new mediated device that its parent's driver isolates. */
  EMULATED("emulated", "emulated");

  private final String word;
  private final String key;

  Mode(String word, String key) {
    this.word = word;
    this.key = key;
  }

  /** The word for it in a verdict. */
  public String word() {
    return word;
  }

  /** The key for it in a request; empty for the function itself. */
  public String key() {
    return key;
  }
}
