// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A VMM that lives on although who served its devices has died: the device files that it was given
 * keep the group, its container and all that is mapped there, and nobody can get at them until it
 * ends.
 */
final class Orphan {
  private static final String DEVICE = "anon_inode:[vfio-device]";

  private Orphan() {}

  /**
   * The process that has been given devices at a socket.
   *
   * @param proc {@code /proc} but in tests
   * @param socket as it stands in the process' command line
   */
  static Optional<String> at(Path proc, Path socket) {
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
      for (Path process : processes) {
        if (commandLine(process).contains(socket.toString()) && hasDevice(process)) {
          return Optional.of(String.valueOf(process.getFileName()));
        }
      }
    } catch (IOException | DirectoryIteratorException _) {
      // Nothing is told of who cannot be seen.
    }
    return Optional.empty();
  }

  private static String commandLine(Path process) {
    try {
      return Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1);
    } catch (IOException _) {
      return "";
    }
  }

  private static boolean hasDevice(Path process) {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(process.resolve("fd"))) {
      for (Path file : files) {
        if (Files.readSymbolicLink(file).toString().equals(DEVICE)) {
          return true;
        }
      }
    } catch (IOException | DirectoryIteratorException _) {
      // It has ended.
    }
    return false;
  }
}
