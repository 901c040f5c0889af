// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Finds folders beside the module, however the tests are started. */
final class Folders {

  private Folders() {}

  /** The folder of the hosts that the repository ships. */
  static Path fixtures() {
    return above("examples/hosts").orElseThrow();
  }

  /** The folder of the captures as people published them, where it lies beside the repository. */
  static Optional<Path> captures() {
    return above("shared/captures");
  }

  private static Optional<Path> above(String name) {
    Path at = Path.of("").toAbsolutePath();
    while (at != null) {
      if (Files.isDirectory(at.resolve(name))) {
        return Optional.of(at.resolve(name));
      }
      at = at.getParent();
    }
    return Optional.empty();
  }
}
