// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

/**
 * Something the source does not say and the verdict rests on.
 *
 * @param subject what it is about: a device, a group, the host
 * @param unknown what the source does not say
 * @param taken what was taken for it
 */
public record Assumption(String subject, String unknown, String taken) {
  @Override
  public String toString() {
    return "%s: %s unknown, taken as %s".formatted(subject, unknown, taken);
  }
}
