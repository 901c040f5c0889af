// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

/**
 * A line of a source that names a function, a group or a driver and does not count in what was
 * read.
 *
 * @param line 1-based; 0 where the source has no lines
 * @param text the line, or its beginning
 * @param reason why it does not count
 */
public record Loss(int line, String text, Reason reason) {

  /** Characters of the line that are kept. */
  public static final int MAX_TEXT = 200;

  /** Why a line does not count. */
  public enum Reason {
    /** It is of no form that is known. */
    NOT_READ("not-read", "not of a form that is known"),
    /** It tells more of a function, and the line that names the function is missing. */
    NO_HEAD("no-head", "the line that names its function is missing"),
    /** It ends too early, or goes on where its end cannot be found. */
    CUT("cut", "cut off or wrapped: a part of it is missing"),
    /** Another line says something else. */
    CONTRADICTED("contradicted", "another line says otherwise"),
    /** What it says may belong to something else. */
    AMBIGUOUS("ambiguous", "can be meant in two ways");

    private final String word;
    private final String sentence;

    Reason(String word, String sentence) {
      this.word = word;
      this.sentence = sentence;
    }

    /** The word that captures and JSON have for it. */
    public String word() {
      return word;
    }

    /** The reason in words. */
    public String sentence() {
      return sentence;
    }
  }

  /** Cuts the text to what is kept, and takes line breaks and control characters out of it. */
  public Loss {
    text = text.replaceAll("\\p{Cntrl}", " ").strip();
    text = text.length() > MAX_TEXT ? text.substring(0, MAX_TEXT) : text;
  }
}
