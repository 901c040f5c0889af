// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host.input;

import java.util.Optional;

/**
 * A place in a source.
 *
 * @param source the file, as the user named it
 * @param line line, 1-based
 * @param column column, 1-based
 * @param parent place of the value that holds this one; empty at the root
 * @param step how the parent names it: a field name or an index in brackets
 */
public record Position(
    String source, int line, int column, Optional<Position> parent, String step) {

  /** The field in full: {@code functions[3].address}; empty at the root. */
  public String path() {
    if (parent.isEmpty()) {
      return "";
    }
    String above = parent.get().path();
    boolean plain = step.matches("\\[[0-9]+\\]|[A-Za-z0-9_-]+");
    String own = plain ? step : "[\"" + step + "\"]";
    return above.isEmpty() || own.startsWith("[") ? above + own : above + "." + own;
  }

  /** A complaint about the value at this place. */
  public BadInputException error(String message) {
    return new BadInputException(source, line, path(), message);
  }
}
