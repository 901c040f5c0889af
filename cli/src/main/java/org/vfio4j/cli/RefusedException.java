// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/** What was asked for is refused by this machine, and nothing of it is left done. */
final class RefusedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * With what to say.
   *
   * @param message what is refused, who stands in the way, and what to do, for people
   */
  RefusedException(String message) {
    super(message);
  }
}
