// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.fuzz;

import org.vfio4j.fuzz.ReaderFuzzTest.Reader;

/** What Jazzer calls, in a process of its own, with the reader's name as its one argument. */
public final class JazzerTarget {
  private static Reader reader = Reader.CAPTURE;

  private JazzerTarget() {}

  /** Takes the reader's name. */
  public static void fuzzerInitialize(String[] arguments) {
    reader = Reader.valueOf(arguments[0]);
  }

  /** Whatever else than a refusal in one line comes out of it is a finding. */
  public static void fuzzerTestOneInput(byte[] input) {
    ReaderFuzzTest.refusal(reader, input);
  }
}
