// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import org.vfio4j.assign.Verdict;

/** What {@code vfio check} refuses. */
final class NotAdmittedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Verdict verdict;
  private final transient AskedAssignment asked;

  NotAdmittedException(Verdict verdict, AskedAssignment asked) {
    super("refused");
    this.verdict = verdict;
    this.asked = asked;
  }

  Verdict verdict() {
    return verdict;
  }

  AskedAssignment asked() {
    return asked;
  }
}
