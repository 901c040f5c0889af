// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.vfio4j.error.Errno;

/**
 * A call and what it was answered.
 *
 * @param call its name
 * @param errnos any of these; none for whatever was answered
 */
public record When(String call, Set<Errno> errnos) {

  private static final String ANY = "*";

  /** From {@code open-group EBUSY,EAGAIN} or {@code open-group *}. */
  static When parse(String text) {
    String[] words = text.split(" ");
    Set<Errno> errnos = EnumSet.noneOf(Errno.class);
    if (!words[1].equals(ANY)) {
      Arrays.stream(words[1].split(",")).map(Errno::valueOf).forEach(errnos::add);
    }
    return new When(words[0], errnos);
  }

  boolean isSaidBy(Statement statement) {
    return statement.call().filter(c -> c.name().equals(call)).isPresent()
        && (errnos.isEmpty() || statement.errno().filter(errnos::contains).isPresent());
  }
}
