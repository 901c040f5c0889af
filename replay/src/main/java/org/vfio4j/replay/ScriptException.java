// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

/** A script is not one: the message is one line, {@code file:line: what is wrong}. */
public final class ScriptException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int line;

  /** Names the place, lines counted from 1; line breaks and the like become spaces. */
  public ScriptException(String source, int line, String message) {
    super(
        "%s:%d: %s"
            .formatted(source, line, message)
            .replaceAll("[\\p{Cntrl}\\u0080-\\u009f\\u2028\\u2029]", " "));
    this.line = line;
  }

  /** The line, from 1. */
  public int line() {
    return line;
  }
}
