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
import java.util.Optional;

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
          users.add(user(process));
        }
      }
    } catch (IOException | DirectoryIteratorException _) {
      return users;
    }
    return users;
  }

  /**
   * One process that has the file open, as far as this process may look: the first that is found,
   * this one before all others. A look at every descriptor of the host can take a second where
   * there are thousands of processes: not to be asked under a lock.
   */
  public static Optional<User> first(Path file) {
    return first(Path.of("/proc"), file);
  }

  /**
   * The same.
   *
   * @param proc another place than {@code /proc}
   */
  public static Optional<User> first(Path proc, Path file) {
    Path self = proc.resolve(Long.toString(ProcessHandle.current().pid()));
    if (hasOpen(self, file)) {
      return Optional.of(user(self));
    }
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
      for (Path process : processes) {
        if (hasOpen(process, file)) {
          return Optional.of(user(process));
        }
      }
    } catch (IOException | DirectoryIteratorException _) {
      return Optional.empty();
    }
    return Optional.empty();
  }

  private static User user(Path process) {
    return new User(Long.parseLong(process.getFileName().toString()), name(process));
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
