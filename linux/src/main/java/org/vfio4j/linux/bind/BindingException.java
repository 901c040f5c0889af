// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

/** Drivers could not be changed. The message says what was refused and how things stand now. */
public final class BindingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What was refused, and how things stand. */
  public BindingException(String message) {
    super(message);
  }

  /** What was refused, how things stand, and what the kernel said. */
  public BindingException(String message, Throwable cause) {
    super(message, cause);
  }
}
