// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A regular expression that is looked for without regard to case, a space in it standing for any
 * number of them. Most lines of a log lack its longest literal part: that is looked for first,
 * which takes a hundredth of the time.
 *
 * @param pattern what to look for
 * @param literal a text in small letters that each match holds; empty where there is none
 */
public record Needle(Pattern pattern, String literal) {

  /** One that is to match as often as the expression says is left alone. */
  private static final Pattern SPACE = Pattern.compile(" (?![?*+{])");

  static Needle of(String regex) {
    Pattern pattern =
        Pattern.compile(SPACE.matcher(regex).replaceAll("\\\\s+"), Pattern.CASE_INSENSITIVE);
    return new Needle(pattern, longestLiteral(regex).toLowerCase(Locale.ROOT));
  }

  /**
   * The match in a text.
   *
   * @param lower the text in small letters
   */
  Optional<Matcher> find(String text, String lower) {
    if (!literal.isEmpty() && !lower.contains(literal)) {
      return Optional.empty();
    }
    Matcher matcher = pattern.matcher(text);
    return matcher.find() ? Optional.of(matcher) : Optional.empty();
  }

  /** The longest run of letters that is outside of groups and classes and not optional. */
  private static String longestLiteral(String regex) {
    String best = "";
    StringBuilder run = new StringBuilder();
    int depth = 0;
    for (int i = 0; i < regex.length(); i++) {
      char c = regex.charAt(i);
      if (c == '\\') {
        i++;
        if (depth == 0 && !Character.isLetterOrDigit(regex.charAt(i))) {
          run.append(regex.charAt(i));
          continue;
        }
      } else if (c == '{') {
        i = regex.indexOf('}', i);
        run.setLength(Math.max(0, run.length() - 1));
      } else if (c == '(' || c == '[') {
        depth++;
      } else if (c == ')' || c == ']') {
        depth--;
      } else if (depth == 0 && c == '|') {
        return "";
      } else if (depth == 0 && (Character.isLetterOrDigit(c) || "-_:/,'=<>!".indexOf(c) >= 0)) {
        run.append(c);
        continue;
      } else if (depth == 0 && "?*".indexOf(c) >= 0 && !run.isEmpty()) {
        run.setLength(run.length() - 1);
      }
      best = run.length() > best.length() ? run.toString() : best;
      run.setLength(0);
    }
    return run.length() > best.length() ? run.toString() : best;
  }
}
