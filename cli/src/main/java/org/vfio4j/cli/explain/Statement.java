// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.vfio4j.error.Errno;

/**
 * A message taken apart.
 *
 * @param line where it stands
 * @param text it, without the option of QEMU's command line that it is about
 * @param lower the same in small letters
 * @param speakers whose marks its line shows: who printed it, and who handed it on
 * @param call what was asked of the kernel, if it says so
 * @param errno what the kernel answered, if it says so
 * @param things what it is about, by name
 */
public record Statement(
    LogLine line,
    String text,
    String lower,
    Set<Speaker> speakers,
    Optional<Call> call,
    Optional<Errno> errno,
    Map<String, String> things) {

  /** An option may name anything, such as a ROM file; what failed stands behind it. */
  private static final Pattern OPTION =
      Pattern.compile("-(?:device|object|netdev) (?:\\{.*?\\}|\\S+): ");

  private static final Pattern SPACES = Pattern.compile(" {2,}");

  static Statement of(LogLine line, KnownCalls calls) {
    String text = OPTION.matcher(line.text()).replaceAll("");
    String lower = text.toLowerCase(Locale.ROOT);
    return new Statement(
        line,
        text,
        lower,
        Speaker.in(SPACES.matcher(line.raw()).replaceAll(" ")),
        calls.in(text, lower),
        Errnos.in(text),
        NamedThings.in(line.text()));
  }
}
