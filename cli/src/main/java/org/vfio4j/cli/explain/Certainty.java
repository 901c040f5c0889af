// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Optional;
import java.util.stream.Stream;

/** How sure an answer is. */
public enum Certainty {
  /** The message has one cause. */
  CERTAIN("certain"),
  /** It has others, but this one is behind nearly all that people reported. */
  LIKELY("likely"),
  /** It has a few that are all met; the commands tell which it is. */
  ONE_OF("one of those below; the commands tell which");

  private final String words;

  Certainty(String words) {
    this.words = words;
  }

  /** The same for a reader. */
  public String words() {
    return words;
  }

  static Optional<Certainty> of(String word) {
    return Stream.of(values())
        .filter(c -> c.name().equalsIgnoreCase(word.replace(' ', '_')))
        .findFirst();
  }
}
