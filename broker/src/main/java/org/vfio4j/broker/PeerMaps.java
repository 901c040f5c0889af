// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * How another process has a file in its memory. A VMM that maps its RAM privately sends the same
 * descriptor as one that shares it, and its guest and its devices then see different pages.
 */
final class PeerMaps {
  /** What {@code /proc/PID/maps} says of a file. */
  enum Sharing {
    /** Mapped, and shared everywhere. */
    SHARED,

    /** Mapped privately somewhere. */
    PRIVATE,

    /** It may not be read, or does not have the file. */
    UNKNOWN
  }

  private PeerMaps() {}

  /** How a process has a file, by what {@code /proc} shows of it. */
  static Sharing of(Path process, RamFile.Key file) {
    try {
      return read(Files.readAllLines(process.resolve("maps"), StandardCharsets.ISO_8859_1), file);
    } catch (IOException _) {
      return Sharing.UNKNOWN;
    }
  }

  /** The same of the lines of {@code maps}. */
  static Sharing read(List<String> maps, RamFile.Key file) {
    String device = "%02x:%02x".formatted(file.device() & 0xffffffffL, file.device() >>> 32);
    String inode = Long.toUnsignedString(file.inode());
    Sharing found = Sharing.UNKNOWN;
    for (String line : maps) {
      String[] fields = line.split("\\s+", 6);
      if (fields.length < 5 || !fields[3].equals(device) || !fields[4].equals(inode)) {
        continue;
      }
      if (!fields[1].endsWith("s")) {
        return Sharing.PRIVATE;
      }
      found = Sharing.SHARED;
    }
    return found;
  }
}
