// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.profile;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A version of Linux, as far as it decides how VFIO answers.
 *
 * @param major the first number, 0 or more
 * @param minor the second number, 0 or more
 */
public record KernelVersion(int major, int minor) implements Comparable<KernelVersion> {
  private static final Pattern RELEASE =
      Pattern.compile("\\s*(?:[Ll]inux\\s+|v)?([0-9]{1,4})\\.([0-9]{1,4})(?![0-9]).*");

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if a number is negative
   */
  public KernelVersion {
    if (major < 0 || minor < 0) {
      throw new IllegalArgumentException("a version is not negative: " + major + "." + minor);
    }
  }

  /**
   * The version that a release begins with, as people and {@code uname -r} write it: {@code 6.8},
   * {@code v6.8}, {@code 6.1.0-18-amd64}, {@code 6.18.0-rc7}; empty where it begins with none.
   */
  public static Optional<KernelVersion> parse(String release) {
    Matcher matcher = RELEASE.matcher(release);
    return matcher.matches()
        ? Optional.of(
            new KernelVersion(
                Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2))))
        : Optional.empty();
  }

  /** Whether this one came before the other. */
  public boolean isBefore(KernelVersion other) {
    return compareTo(other) < 0;
  }

  @Override
  public int compareTo(KernelVersion other) {
    int first = Integer.compare(major, other.major);
    return first == 0 ? Integer.compare(minor, other.minor) : first;
  }

  /** The version as in {@code 6.1}. */
  @Override
  public String toString() {
    return major + "." + minor;
  }
}
