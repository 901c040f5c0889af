// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Pattern;

/** Trouble of a PCI function that a kernel log or a listing tells of. */
public enum FunctionSign {
  /** It does not answer: its registers read as ff, most often as it did not come back from D3. */
  NO_ANSWER(
      "no-answer",
      "(?:can't change power state|device inaccessible|stuck in D3|^(?>.*?not ready \\d+ms after"
          + " ).*; giving up|Refused to change power state, currently in D3)"),
  /** Something of the host holds one of its BARs, so that VFIO cannot have it. */
  BAR_HELD("bar-held", "^(?>.*?BAR \\d).*: can.?t reserve|can't reserve \\[mem");

  private final String word;
  private final Pattern logged;

  FunctionSign(String word, String logged) {
    this.word = word;
    this.logged = Pattern.compile(logged);
  }

  /** The word that captures have for it. */
  public String word() {
    return word;
  }

  /** The sign with this word; empty if there is none. */
  public static Optional<FunctionSign> ofWord(String word) {
    return Arrays.stream(values()).filter(s -> s.word.equals(word)).findFirst();
  }

  /** Whether it is worth to look closer at a line of a log. */
  static boolean mayBeIn(String line) {
    return line.contains("reserve")
        || line.contains("power state")
        || line.contains("inaccessible")
        || line.contains("giving up")
        || line.contains("in D3");
  }

  /** The sign in what a driver logged of the function; empty if there is none. */
  static Optional<FunctionSign> logged(String message) {
    return Arrays.stream(values()).filter(s -> s.logged.matcher(message).find()).findFirst();
  }
}
