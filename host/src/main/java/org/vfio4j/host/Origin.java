// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.Optional;

/** The kind of source that a topology was read from. */
public enum Origin {
  /** A sysfs tree, live or copied. */
  SYSFS("sysfs"),
  /** A recording of umockdev-record. */
  UMOCKDEV("umockdev"),
  /** Output of {@code lspci -v} or higher. */
  LSPCI("lspci"),
  /** A listing of groups, or lspci without details. */
  LISTING("listing"),
  /** A kernel log. */
  DMESG("dmesg"),
  /** Written by hand, in the project's own capture format. */
  MANUAL("manual");

  private final String word;

  Origin(String word) {
    this.word = word;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }

  /** The origin with this word; empty if there is none. */
  public static Optional<Origin> ofWord(String word) {
    return Arrays.stream(values()).filter(o -> o.word.equals(word)).findFirst();
  }
}
