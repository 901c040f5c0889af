// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import org.vfio4j.host.input.BadInputException;

/** A file that a command writes: all of it or nothing. */
final class OutputFile {

  private static final FileAttribute<Set<PosixFilePermission>> READABLE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--"));

  private OutputFile() {}

  /**
   * Writes the text. A reader sees the old file or the new one, never a part.
   *
   * @param force whether a file that is there is replaced
   * @throws BadInputException if the file is there already, or cannot be written
   */
  static void write(Path path, String text, boolean force) {
    write(path, text, force, "--force");
  }

  /** The same for a command whose option for it has this name. */
  static void write(Path path, String text, boolean force, String option) {
    String name = path.toString();
    if (Files.isDirectory(path)) {
      throw new BadInputException(name, 0, "", "is a folder");
    }
    if (!force && Files.exists(path) && !isStream(path)) {
      throw new BadInputException(
          name, 0, "", "is there already; %s replaces it".formatted(option));
    }
    try {
      replace(path, text);
    } catch (IOException e) {
      throw new BadInputException(name, 0, "", "cannot be written: " + reason(e));
    }
  }

  /** A terminal, a pipe or another device takes what is written, and nothing of it is replaced. */
  private static boolean isStream(Path path) {
    return !Files.isRegularFile(path) && !Files.isDirectory(path);
  }

  private static void replace(Path path, String text) throws IOException {
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      Files.writeString(path, text);
      return;
    }
    Path target = Files.isSymbolicLink(path) ? path.toRealPath() : path.toAbsolutePath();
    Path folder = target.getParent();
    Path temporary =
        Files.createTempFile(folder, "." + target.getFileName() + ".", ".tmp", READABLE);
    try {
      Files.writeString(temporary, text);
      move(temporary, target);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  /** What went wrong with a file, in words and without its name. */
  static String reason(IOException e) {
    return switch (e) {
      case NoSuchFileException _ -> "no such file or folder";
      case AccessDeniedException _ -> "permission denied";
      case NotDirectoryException _ -> "not a folder";
      case FileSystemException other when other.getReason() != null -> other.getReason();
      default -> String.valueOf(e.getMessage());
    };
  }
}
