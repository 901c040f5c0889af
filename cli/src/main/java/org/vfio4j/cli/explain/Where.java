// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Map;
import java.util.regex.Pattern;

/** A bound on a thing that a message names, such as {@code iova >= 0x8000000000}. */
public sealed interface Where {

  /** Whether the things keep to the bound; what is not named keeps to none. */
  boolean holds(Map<String, String> things);

  /** A number of at least, or below, this one. */
  record Bound(String name, boolean below, long number) implements Where {
    @Override
    public boolean holds(Map<String, String> things) {
      String text = things.get(name);
      return text != null && Long.compareUnsigned(parsed(text), number) < 0 == below;
    }
  }

  /** A text in which an expression is found. */
  record Like(String name, Pattern pattern) implements Where {
    @Override
    public boolean holds(Map<String, String> things) {
      String text = things.get(name);
      return text != null && pattern.matcher(text).find();
    }
  }

  /** From {@code NAME >= NUMBER}, {@code NAME < NUMBER} or {@code NAME ~ EXPRESSION}. */
  static Where parse(String text) {
    String[] words = text.split(" ", 3);
    return switch (words[1]) {
      case ">=" -> new Bound(words[0], false, parsed(words[2]));
      case "<" -> new Bound(words[0], true, parsed(words[2]));
      case "~" -> new Like(words[0], Pattern.compile(words[2], Pattern.CASE_INSENSITIVE));
      default -> throw new IllegalStateException("no such bound: " + text);
    };
  }

  private static long parsed(String text) {
    return text.startsWith("0x")
        ? Long.parseUnsignedLong(text.substring(2), 16)
        : Long.parseUnsignedLong(text);
  }
}
