// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sentences and commands with places for what a message is about: {@code {group}}, or {@code
 * {group|N}} with what to write where the message does not say.
 */
final class Template {

  private static final Pattern PLACE = Pattern.compile("\\{([a-z]+)(?:\\|([^}]*))?\\}");

  private Template() {}

  /** The text with all places filled; nothing where one has neither thing nor default. */
  static Optional<String> fill(String text, Map<String, String> things) {
    StringBuilder out = new StringBuilder();
    Matcher place = PLACE.matcher(text);
    while (place.find()) {
      String thing = things.get(place.group(1));
      String shown = thing == null ? place.group(2) : thing;
      if (shown == null) {
        return Optional.empty();
      }
      place.appendReplacement(out, Matcher.quoteReplacement(shown));
    }
    return Optional.of(place.appendTail(out).toString());
  }
}
