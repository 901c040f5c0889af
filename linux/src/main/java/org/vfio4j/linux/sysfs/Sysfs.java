// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

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
import org.vfio4j.vfio.DriverKind;

/**
 * What sysfs tells of devices, their IOMMU groups and modules, on the buses whose devices VFIO can
 * have. Read anew at each question: devices and drivers come and go. A file that is gone says "not
 * there", as the kernel means it.
 */
public final class Sysfs {
  private static final String TYPE1 = "vfio_iommu_type1";
  private static final int PCI_CLASS_SHIFT = 8;
  private static final int PCI_TO_PCI_BRIDGE = 0x0604;

  private final Path root;
  private final DeviceLinks links;

  /** Below {@code root}, which is {@code /sys} but in tests. */
  public Sysfs(Path root) {
    this.root = root;
    links = new DeviceLinks(root, "pci", "mdev", "platform");
  }

  /** That of this machine. */
  public static Sysfs ofThisMachine() {
    return new Sysfs(Path.of("/sys"));
  }

  /** The number of a device's group; empty if there is no such device, or no IOMMU serves it. */
  public OptionalInt groupOf(String device) {
    return links.group(device);
  }

  /** The device of that name, on whatever bus. */
  public Optional<LinuxDevice> device(String name) {
    return links.folder(name).map(d -> new LinuxDevice(name, bus(d)));
  }

  /** The members of a group, by name. Empty once the group is gone. */
  public List<LinuxDevice> members(int group) {
    return links.members(group).stream()
        .map(d -> new LinuxDevice(String.valueOf(d.getFileName()), bus(d)))
        .toList();
  }

  /** Whether there is such a group. */
  public boolean exists(int group) {
    return Files.isDirectory(links.groupFolder(group));
  }

  /** The device's driver. */
  public Optional<String> driver(String device) {
    return links.driver(device);
  }

  /** Whether the device's driver offers it to VFIO: {@code vfio-pci} and its variants. */
  public boolean offered(String device) {
    return driver(device).filter(DriverKind::offers).isPresent();
  }

  /** Whether a driver that does DMA for the host has the device. */
  public boolean hostDriven(String device) {
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
  public List<ReservedRegion> regions(int group) {
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

  /**
   * How many mappings a container of type1 may have ({@code dma_entry_limit}); empty if the module
   * is not there.
   */
  public OptionalInt entryLimit() {
    Path parameters = root.resolve("module").resolve(TYPE1).resolve("parameters");
    String limit = read(parameters.resolve("dma_entry_limit")).strip();
    return limit.matches("[0-9]{1,9}")
        ? OptionalInt.of(Integer.parseInt(limit))
        : OptionalInt.empty();
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
}
