// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * What is remembered of functions, one file each. It lies under /run, which a boot empties, as a
 * boot undoes every binding.
 */
final class BindingRecords {
  private final Path folder;

  BindingRecords(Path folder) {
    this.folder = folder;
  }

  Optional<BindingRecord> read(String address) {
    Path file = folder.resolve(address);
    try {
      return Files.exists(file)
          ? Optional.of(BindingRecord.parse(Files.readAllLines(file)))
          : Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whole or not at all: a process that is killed here leaves no half of a file. */
  void write(String address, BindingRecord binding) {
    try {
      Files.createDirectories(folder);
      Path next = folder.resolve(address + ".new");
      Files.writeString(next, binding.text());
      Files.move(next, folder.resolve(address), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void remove(String address) {
    try {
      Files.deleteIfExists(folder.resolve(address));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
