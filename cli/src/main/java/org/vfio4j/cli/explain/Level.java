// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

/** What a message is in the log that it stands in; what comes first decides before what follows. */
public enum Level {
  /** Something failed, for the reason that is said. */
  ERROR(0),
  /** Something that may be the reason of a failure, or nothing. */
  WARNING(0),
  /** Tells what is so; no failure. */
  INFO(60),
  /** Only says that what stands before it failed. */
  CONSEQUENCE(200);

  private final int handicap;

  Level(int handicap) {
    this.handicap = handicap;
  }

  /**
   * What is taken off the weight of a rule, where another one says what failed in the same line.
   */
  int handicap() {
    return handicap;
  }
}
