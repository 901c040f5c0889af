// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes as people write them; every unit counts by 1024, as QEMU and Proxmox count. */
public final class Sizes {
  private static final Pattern SIZE =
      Pattern.compile("([0-9]{1,19}(?:\\.[0-9]{1,9})?)\\s*([a-zA-Z]*)");
  private static final Map<String, Integer> SHIFTS =
      Map.ofEntries(
          Map.entry("", 0),
          Map.entry("b", 0),
          Map.entry("k", 10),
          Map.entry("kb", 10),
          Map.entry("kib", 10),
          Map.entry("m", 20),
          Map.entry("mb", 20),
          Map.entry("mib", 20),
          Map.entry("g", 30),
          Map.entry("gb", 30),
          Map.entry("gib", 30),
          Map.entry("t", 40),
          Map.entry("tb", 40),
          Map.entry("tib", 40),
          Map.entry("p", 50),
          Map.entry("pb", 50),
          Map.entry("pib", 50),
          Map.entry("e", 60),
          Map.entry("eb", 60),
          Map.entry("eib", 60));
  private static final List<String> UNITS = List.of("B", "KiB", "MiB", "GiB");

  private Sizes() {}

  /**
   * Reads {@code 4GiB}, {@code 4G}, {@code 4 GB}, {@code 3.5GiB}, {@code 4096M} or, in bytes,
   * {@code 4294967296}.
   *
   * @return bytes; empty for what is no size, is not a whole number of bytes, or is 2<sup>63</sup>
   *     or more
   */
  public static Optional<Long> parse(String text) {
    Matcher size = SIZE.matcher(text.strip());
    if (!size.matches()) {
      return Optional.empty();
    }
    Integer shift = SHIFTS.get(size.group(2).toLowerCase(Locale.ROOT));
    if (shift == null) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          new BigDecimal(size.group(1)).multiply(BigDecimal.valueOf(1L << shift)).longValueExact());
    } catch (ArithmeticException _) {
      return Optional.empty();
    }
  }

  /** A size in bytes in the largest unit that needs no fraction, as in {@code 4GiB}. */
  public static String of(long bytes) {
    int unit = 0;
    long count = bytes;
    while (count != 0 && count % 1024 == 0 && unit + 1 < UNITS.size()) {
      count /= 1024;
      unit++;
    }
    return count + UNITS.get(unit);
  }
}
