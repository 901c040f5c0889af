// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

/**
 * The kernel of the profile would have stopped here with BUG(): nothing after it means anything.
 */
public final class KernelBugException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Says which BUG it is. */
  public KernelBugException(String message) {
    super(message);
  }
}
