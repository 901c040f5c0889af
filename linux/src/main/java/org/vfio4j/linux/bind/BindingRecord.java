// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.util.List;
import java.util.Optional;

/**
 * How a function stood before it was handed to VFIO.
 *
 * @param driver the driver it had
 * @param override the only driver that might have it
 */
record BindingRecord(Optional<String> driver, Optional<String> override) {
  /** Two lines; an empty one stands for none. */
  String text() {
    return driver.orElse("") + "\n" + override.orElse("") + "\n";
  }

  static BindingRecord parse(List<String> lines) {
    return new BindingRecord(line(lines, 0), line(lines, 1));
  }

  private static Optional<String> line(List<String> lines, int index) {
    return index < lines.size() && !lines.get(index).isBlank()
        ? Optional.of(lines.get(index).strip())
        : Optional.empty();
  }
}
