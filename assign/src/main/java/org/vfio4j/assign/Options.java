// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Set;
import org.vfio4j.profile.KernelProfile;

/**
 * How to check.
 *
 * @param profile whose kernel answers
 * @param strict whether what the source does not say is a refusal
 * @param forced functions that may be taken although the host depends on them, by address
 */
public record Options(KernelProfile profile, boolean strict, Set<String> forced) {
  /** The default kernel, not strict, nothing forced. */
  public static final Options DEFAULT = new Options(KernelProfile.DEFAULT, false, Set.of());

  /** Copies the set. */
  public Options {
    forced = Set.copyOf(forced);
  }
}
