// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Who has a file open, as far as {@code /proc} shows it to this process. */
public final class OpenFiles {
  private OpenFiles() {}

  /**
   * A process that has a file open; prints as {@code 812 (qemu-system-x86)}.
   *
   * @param pid its number
   * @param command its name
   */
  public record User(long pid, String command) {
    @Override
    public String toString() {
      return "%d (%s)".formatted(pid, command);
    }
  }

  /**
   * The processes that have the file open, as far as this process may look at them: root at all,
   * others at their own.
   */
  public static List<User> users(Path file) {
    return users(Path.of("/proc"), file);
  }

  /**
   * The same.
   *
   * @param proc another place than {@code /proc}
   */
  public static List<User> users(Path proc, Path file) {
    List<User> users = new ArrayList<>();
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
      for (Path process : processes) {
        if (hasOpen(process, file)) {
          users.add(new User(Long.parseLong(process.getFileName().toString()), name(process)));
        }
      }
    } catch (IOException | DirectoryIteratorException _) {
      return users;
    }
    return users;
  }

  private static boolean hasOpen(Path process, Path file) {
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(process.resolve("fd"))) {
      for (Path descriptor : descriptors) {
        if (pointsTo(descriptor, file)) {
          return true;
        }
      }
      return false;
    } catch (IOException | DirectoryIteratorException _) {
      // Another user's process, or one that has just ended.
      return false;
    }
  }

  private static boolean pointsTo(Path descriptor, Path file) {
    try {
      return Files.readSymbolicLink(descriptor).equals(file);
    } catch (IOException _) {
      return false;
    }
  }

  private static String name(Path process) {
    try {
      return Files.readString(process.resolve("comm")).strip();
    } catch (IOException _) {
      return "?";
    }
  }
}
