// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.linux.sysfs.DeviceLinks;
import org.vfio4j.vfio.DriverKind;

/**
 * What sysfs tells of IOMMU groups, read anew at each question: devices and drivers come and go. A
 * file that is gone says "not there", as the kernel means it.
 */
final class Sysfs {
  private static final int PCI_CLASS_SHIFT = 8;
  private static final int PCI_TO_PCI_BRIDGE = 0x0604;

  private final Path root;
  private final DeviceLinks links;

  /** Below {@code root}, which is {@code /sys} but in tests. */
  Sysfs(Path root) {
    this.root = root;
    links = new DeviceLinks(root, "pci", "mdev", "platform");
  }

  /** The number of a device's group; empty if there is no such device, or no IOMMU serves it. */
  OptionalInt groupOf(String device) {
    return links.group(device);
  }

  /** The device of that name, on whatever bus. */
  Optional<LinuxDevice> device(String name) {
    return links.folder(name).map(d -> new LinuxDevice(name, bus(d)));
  }

  /** The members of a group, by name. Empty once the group is gone. */
  List<LinuxDevice> members(int group) {
    return links.members(group).stream()
        .map(d -> new LinuxDevice(String.valueOf(d.getFileName()), bus(d)))
        .toList();
  }

  /** Whether there is such a group. */
  boolean exists(int group) {
    return Files.isDirectory(links.groupFolder(group));
  }

  /** The device's driver. */
  Optional<String> driver(String device) {
    return links.driver(device);
  }

  /** Whether the device's driver offers it to VFIO: {@code vfio-pci} and its variants. */
  boolean offered(String device) {
    return driver(device).filter(DriverKind::offers).isPresent();
  }

  /** Whether a driver that does DMA for the host has the device. */
  boolean hostDriven(String device) {
    return driver(device)
        .filter(d -> DriverKind.of(d, bridge(device)) == DriverKind.HOST)
        .isPresent();
  }

  private boolean bridge(String device) {
    return links
        .folder(device)
        .map(d -> read(d.resolve("class")).strip())
        .filter(c -> c.matches("0x[0-9a-f]{1,6}"))
        .map(c -> Integer.decode(c) >> PCI_CLASS_SHIFT == PCI_TO_PCI_BRIDGE)
        .orElse(false);
  }

  /**
   * What a group reserves; nothing, once the group is gone. The kernel's name for both kinds of MSI
   * window is the same; that of ARM, where software maps the doorbell, is the kernel's business
   * here.
   *
   * @throws VfioException EIO if the kernel does not tell, or tells what is not understood: a
   *     device must not be given memory where it cannot reach it
   */
  List<ReservedRegion> regions(int group) {
    Path file = links.groupFolder(group).resolve("reserved_regions");
    List<ReservedRegion> regions = new ArrayList<>();
    for (String line : lines(file)) {
      regions.add(
          ReservedRegion.parse(line)
              .orElseThrow(
                  () ->
                      unreadable(
                          "%s:%d: no reserved region: '%s'"
                              .formatted(file, regions.size() + 1, line))));
    }
    return regions;
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (NoSuchFileException gone) {
      return List.of();
    } catch (IOException e) {
      throw unreadable("cannot read %s: %s".formatted(file, e));
    }
  }

  private static VfioException unreadable(String message) {
    return new VfioException(Errno.EIO, Reason.RESERVED_REGION, message);
  }

  /** A parameter of a module; empty if the module is not there. */
  String parameter(String module, String name) {
    return read(root.resolve("module").resolve(module).resolve("parameters").resolve(name)).strip();
  }

  private static Device.Bus bus(Path device) {
    return switch (DeviceLinks.target(device.resolve("subsystem")).orElse("")) {
      case "mdev" -> Device.Bus.MDEV;
      case "platform" -> Device.Bus.PLATFORM;
      default -> Device.Bus.PCI;
    };
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "";
    }
  }

  /** The refusal for a device that is not there. */
  static VfioException unknown(String device) {
    return new VfioException(
        Errno.ENODEV, Reason.NO_GROUP, "no IOMMU group of this machine has " + device, device);
  }
}
