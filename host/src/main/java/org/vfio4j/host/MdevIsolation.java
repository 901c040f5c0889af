// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.Optional;

/** How the mediated devices of a parent are kept apart. */
public enum MdevIsolation {
  /** Software only: the parent's driver translates and pins. */
  PLAIN("plain"),
  /** Backed by the group of the function under it (a wrapped PF or VF). */
  BACKED("backed"),
  /** By an aux domain of the function, with a PASID. */
  AUX("aux");

  private final String word;

  MdevIsolation(String word) {
    this.word = word;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }

  /** The kind with this word; empty if there is none. */
  public static Optional<MdevIsolation> ofWord(String word) {
    return Arrays.stream(values()).filter(i -> i.word.equals(word)).findFirst();
  }
}
