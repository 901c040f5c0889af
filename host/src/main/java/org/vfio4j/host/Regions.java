// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.iommu.ReservedRegion;

/** Text forms of reserved regions. */
final class Regions {

  private static final Pattern LINE =
      Pattern.compile(
          "\\s*0x([0-9a-fA-F]{1,16})\\s+0x([0-9a-fA-F]{1,16})"
              + "\\s+(direct|direct-relaxable|reserved|msi|sw-msi)\\s*");

  private Regions() {}

  /** A line of {@code reserved_regions}; empty if it is none. */
  static Optional<ReservedRegion> parseLine(String line) {
    Matcher m = LINE.matcher(line);
    if (!m.matches()) {
      return Optional.empty();
    }
    return of(m.group(1), m.group(2), typeOf(m.group(3)).orElseThrow());
  }

  /** The region from two hex numbers without prefix; empty if it is inverted. */
  static Optional<ReservedRegion> of(String start, String last, ReservedRegion.Type type) {
    long from = Long.parseUnsignedLong(start, 16);
    long to = Long.parseUnsignedLong(last, 16);
    return Long.compareUnsigned(from, to) > 0
        ? Optional.empty()
        : Optional.of(new ReservedRegion(from, to, type));
  }

  /** The word for a type, as the kernel writes it. */
  static String word(ReservedRegion.Type type) {
    return type.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  static Optional<ReservedRegion.Type> typeOf(String word) {
    return Arrays.stream(ReservedRegion.Type.values())
        .filter(t -> word(t).equals(word))
        .findFirst();
  }
}
