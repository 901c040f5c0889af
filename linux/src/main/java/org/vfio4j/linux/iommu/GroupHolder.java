// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.vfio4j.error.Holder;

/**
 * The process that has a group's file open, where {@code /proc} shows it: to root, everybody's; to
 * others, their own. One that keeps a device's descriptor only is not to be found.
 */
final class GroupHolder {
  private static final Path PROC = Path.of("/proc");

  private GroupHolder() {}

  /** Who has {@code /dev/vfio/N} open. */
  static Optional<Holder> of(int group, List<String> devices) {
    String file = "/dev/vfio/" + group;
    return list(PROC).stream()
        .filter(p -> name(p).matches("[0-9]+"))
        .filter(p -> list(p.resolve("fd")).stream().anyMatch(fd -> file.equals(target(fd))))
        .findFirst()
        .map(p -> new Holder("process %s (%s)".formatted(name(p), command(p)), devices));
  }

  private static String command(Path process) {
    try {
      return Files.readString(process.resolve("comm")).strip();
    } catch (IOException gone) {
      return "?";
    }
  }

  private static String target(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString();
    } catch (IOException gone) {
      return "";
    }
  }

  private static String name(Path path) {
    return String.valueOf(path.getFileName());
  }

  private static List<Path> list(Path folder) {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.toList();
    } catch (IOException notMine) {
      return List.of();
    }
  }
}
