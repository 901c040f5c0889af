// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.OpenFiles;

/**
 * What {@code /sys} and {@code /proc} tell of a device: read once per question, never kept. What
 * cannot be read is not there.
 *
 * @param sys usually {@code /sys}
 * @param proc usually {@code /proc}
 */
record Sysfs(Path sys, Path proc) {
  /** Those of this machine. */
  static Sysfs ofThisMachine() {
    return new Sysfs(Path.of("/sys"), Path.of("/proc"));
  }

  boolean hasDevice(String address) {
    return links().folder(address).isPresent();
  }

  /** Number of the device's IOMMU group; empty where no IOMMU is on. */
  OptionalInt group(String address) {
    return links().group(address);
  }

  /** The device's driver. */
  Optional<String> driver(String address) {
    return links().driver(address);
  }

  /** The devices of a group, sorted. */
  List<String> members(int group) {
    return links().members(group).stream().map(m -> m.getFileName().toString()).toList();
  }

  /** Processes that have a file open; only those that this user may look into. */
  List<OpenFiles.User> openedBy(String path) {
    return OpenFiles.users(proc, Path.of(path));
  }

  /** Bytes that this process has locked. */
  long lockedBytes() {
    return status("VmLck").map(v -> Long.parseLong(v.replaceAll("[^0-9]", "")) * 1024).orElse(0L);
  }

  /** Whether this thread has CAP_IPC_LOCK, for which there is no limit. */
  boolean maySkipLockLimit() {
    return status("CapEff")
        .map(v -> (Long.parseUnsignedLong(v, 16) & 1L << Constants.CAP_IPC_LOCK) != 0)
        .orElse(false);
  }

  private Optional<String> status(String field) {
    try (Stream<String> lines = Files.lines(proc.resolve("thread-self/status"))) {
      String head = field + ":";
      return lines
          .filter(l -> l.startsWith(head))
          .map(l -> l.substring(head.length()).strip())
          .findFirst();
    } catch (IOException | UncheckedIOException _) {
      return Optional.empty();
    }
  }

  private DeviceLinks links() {
    return new DeviceLinks(sys, "pci");
  }
}
