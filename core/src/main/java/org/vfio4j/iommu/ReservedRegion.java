// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A range of IOVAs that a group's devices or platform keep for themselves, as {@code
 * iommu_get_group_resv_regions()} and {@code /sys/kernel/iommu_groups/N/reserved_regions} give it.
 *
 * @param start first IOVA, inclusive
 * @param last last IOVA, inclusive, unsigned
 * @param type what the range is kept for
 */
public record ReservedRegion(long start, long last, Type type) {
  private static final Pattern LINE =
      Pattern.compile("\\s*0x([0-9a-fA-F]{1,16})\\s+0x([0-9a-fA-F]{1,16})\\s+([a-z-]+)\\s*");

  /** What a reserved region is for, {@code enum iommu_resv_type} of the kernel. */
  public enum Type {
    /** Identity-mapped by firmware at all times (RMRR, IVMD): locks the device to the host. */
    DIRECT,
    /** Identity-mapped by firmware for boot only (USB, graphics): may be taken over. */
    DIRECT_RELAXABLE,
    /** Never to be mapped. */
    RESERVED,
    /** The hardware's own MSI window. */
    MSI,
    /** A window in which software maps the MSI doorbell (ARM). */
    SW_MSI;

    /** The word of {@code reserved_regions} for the type, such as {@code direct-relaxable}. */
    public String word() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** The type with that word; empty for a word that the kernel has not. */
    public static Optional<Type> of(String word) {
      return Arrays.stream(values()).filter(t -> t.word().equals(word)).findFirst();
    }
  }

  /**
   * One line of {@code /sys/kernel/iommu_groups/N/reserved_regions}: first and last IOVA in
   * hexadecimal with {@code 0x}, and the type's word. Empty if the line is none, be it of another
   * form, of an unknown type, or inverted; what that means is the caller's to say.
   */
  public static Optional<ReservedRegion> parse(String line) {
    Matcher m = LINE.matcher(line);
    if (!m.matches()) {
      return Optional.empty();
    }
    long start = Long.parseUnsignedLong(m.group(1), 16);
    long last = Long.parseUnsignedLong(m.group(2), 16);
    return Type.of(m.group(3))
        .filter(t -> Long.compareUnsigned(start, last) <= 0)
        .map(t -> new ReservedRegion(start, last, t));
  }

  /** Checks that the range is not inverted. */
  public ReservedRegion {
    if (Long.compareUnsigned(last, start) < 0) {
      throw new IllegalArgumentException(
          "inverted region: start=0x%x, last=0x%x".formatted(start, last));
    }
  }
}
