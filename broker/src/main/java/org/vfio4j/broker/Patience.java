// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How long a QEMU waits for an answer. It is not on the wire: {@code x-msg-timeout} of its command
 * line says it, in milliseconds, in QEMU's own form or in JSON; five seconds where nothing is said.
 */
final class Patience {
  static final Duration DEFAULT = Duration.ofSeconds(5);

  private static final Pattern TIMEOUT =
      Pattern.compile("x-msg-timeout\"?\\s*[=:]\\s*\"?(\\d{1,9})");

  private Patience() {}

  /**
   * Of the VM that a process is. The shortest of its devices counts: which is which is not told.
   */
  static Duration of(VmSettings settings, Path process) {
    return settings.timeout().or(() -> told(process)).orElse(DEFAULT);
  }

  private static Optional<Duration> told(Path process) {
    String line;
    try {
      line = Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1);
    } catch (IOException _) {
      return Optional.empty();
    }
    return read(line);
  }

  /** What a command line says, its words apart by zero bytes. */
  static Optional<Duration> read(String commandLine) {
    Optional<Duration> least = Optional.empty();
    for (String word : commandLine.split("\0", -1)) {
      if (!word.contains("vfio-user-pci")) {
        continue;
      }
      Matcher m = TIMEOUT.matcher(word);
      Duration each = m.find() ? Duration.ofMillis(Long.parseLong(m.group(1))) : DEFAULT;
      least = Optional.of(least.filter(l -> l.compareTo(each) <= 0).orElse(each));
    }
    return least.filter(d -> !d.isZero());
  }
}
