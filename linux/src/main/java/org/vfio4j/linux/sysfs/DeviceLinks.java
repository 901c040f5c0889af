// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;

/**
 * Where the links of sysfs lead: from a device to its driver and its IOMMU group, from a group to
 * its members. Followed anew at each question: devices and drivers come and go. A link that is
 * missing says "not there", as the kernel means it; one that cannot be read is never taken for
 * missing, but throws {@link UncheckedIOException}.
 */
public final class DeviceLinks {
  private final Path sys;
  private final List<String> buses;

  /**
   * Those below a folder.
   *
   * @param sys {@code /sys} but in tests
   * @param buses where devices are looked for, in this order, as {@code /sys/bus} names them
   */
  public DeviceLinks(Path sys, String... buses) {
    this.sys = sys;
    this.buses = List.of(buses);
  }

  /** Those of this machine. */
  public static DeviceLinks ofThisMachine(String... buses) {
    return new DeviceLinks(Path.of("/sys"), buses);
  }

  /** The folder of a device; empty if no bus has it, also for a name that leads elsewhere. */
  public Optional<Path> folder(String device) {
    if (!device.matches("[0-9A-Za-z:._-]+") || device.startsWith(".")) {
      return Optional.empty();
    }
    return buses.stream()
        .map(bus -> sys.resolve("bus").resolve(bus).resolve("devices").resolve(device))
        .filter(Files::exists)
        .findFirst();
  }

  /** The number of a device's group; empty if there is no such device, or no IOMMU serves it. */
  public OptionalInt group(String device) {
    return folder(device)
        .flatMap(d -> target(d.resolve("iommu_group")))
        .filter(n -> n.matches("[0-9]{1,9}"))
        .map(n -> OptionalInt.of(Integer.parseInt(n)))
        .orElse(OptionalInt.empty());
  }

  /** The device's driver. */
  public Optional<String> driver(String device) {
    return folder(device).flatMap(d -> target(d.resolve("driver")));
  }

  /** The folder of a group, whether there is one or not. */
  public Path groupFolder(int group) {
    return sys.resolve("kernel/iommu_groups").resolve(Integer.toString(group));
  }

  /** The folders of a group's members, sorted; none once the group is gone. */
  public List<Path> members(int group) {
    try (Stream<Path> entries = Files.list(groupFolder(group).resolve("devices"))) {
      return entries.sorted().toList();
    } catch (NoSuchFileException _) {
      return List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The last name of what a link points at; empty if there is no link. */
  public static Optional<String> target(Path link) {
    try {
      return Optional.of(String.valueOf(Files.readSymbolicLink(link).getFileName()));
    } catch (NoSuchFileException _) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
