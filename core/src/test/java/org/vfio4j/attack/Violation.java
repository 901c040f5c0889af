// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

/** The engine broke a rule. */
final class Violation extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String check;

  /**
   * Says what was broken.
   *
   * @param check the invariant, {@code I1} to {@code I8}, or {@code answer} or {@code leak}
   * @param message what was seen
   */
  Violation(String check, String message) {
    super(check + ": " + message);
    this.check = check;
  }

  String check() {
    return check;
  }

  /** Throws if broken; the message is put together only then, since this is asked very often. */
  static void when(boolean broken, String check, String format, Object... arguments) {
    if (broken) {
      throw new Violation(check, arguments.length == 0 ? format : String.format(format, arguments));
    }
  }
}
