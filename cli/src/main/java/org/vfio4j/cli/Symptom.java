// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A message that people meet, and what is behind it.
 *
 * @param title what happened, in a few words
 * @param samples messages of this kind
 * @param patterns what such a message matches
 * @param causes why it happens
 * @param fixes what can be done
 * @param foreseeable whether it could be told before
 * @param codes the codes under which this program knows it
 */
record Symptom(
    String title,
    List<String> samples,
    List<Pattern> patterns,
    List<String> causes,
    List<String> fixes,
    String foreseeable,
    List<String> codes) {

  static Symptom of(Block block) {
    return new Symptom(
        block.one("title"),
        block.all("sample"),
        block.all("match").stream().map(p -> Pattern.compile(p, Pattern.CASE_INSENSITIVE)).toList(),
        block.all("cause"),
        block.all("fix"),
        block.one("foreseeable"),
        List.of(block.one("codes").split(" ")));
  }

  /** How many characters of the message are of this kind; 0 if it is another message. */
  int match(String message) {
    int best = 0;
    for (Pattern pattern : patterns) {
      Matcher matcher = pattern.matcher(message);
      if (matcher.find()) {
        best = Math.max(best, matcher.end() - matcher.start());
      }
    }
    return best;
  }
}
