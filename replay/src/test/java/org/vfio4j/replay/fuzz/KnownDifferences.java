// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.fuzz;

import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.fuzz.Answers.Answer;

/**
 * Differences that docs/KERNEL-DIFFERENCES.md explains, each with the function of the kernel that
 * makes it. The rest of a script that runs into one is not compared.
 */
final class KnownDifferences {
  private KnownDifferences() {}

  /** Whether the two answers to the same line differ for a reason that is written down. */
  static boolean explains(KernelProfile kernel, Answer engine, Answer judge) {
    return false;
  }
}
