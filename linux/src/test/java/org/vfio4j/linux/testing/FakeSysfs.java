// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;

/** What {@code /sys} shows of a machine in software: a folder, written anew when it has changed. */
public final class FakeSysfs {
  private final SoftMachine machine;
  private final Path root;

  private FakeSysfs(SoftMachine machine, Path root) {
    this.machine = machine;
    this.root = root;
  }

  /**
   * Writes the machine's.
   *
   * @param root an empty folder, in place of {@code /sys}
   */
  public static FakeSysfs write(SoftMachine machine, Path root) {
    FakeSysfs sysfs = new FakeSysfs(machine, root);
    try {
      for (SoftFunction function : machine.functions()) {
        sysfs.add(function);
      }
      Path parameters = root.resolve("module/vfio_iommu_type1/parameters");
      Files.createDirectories(parameters);
      Files.writeString(
          parameters.resolve("dma_entry_limit"), machine.parameters().entryLimit() + "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    sysfs.drivers();
    return sysfs;
  }

  /** The folder. */
  public Path root() {
    return root;
  }

  private Path device(String name) {
    return root.resolve("devices").resolve(name);
  }

  private void add(SoftFunction function) throws IOException {
    String name = function.name();
    Path device = Files.createDirectories(device(name));
    Path bus = Files.createDirectories(root.resolve("bus/pci/devices"));
    Files.createSymbolicLink(bus.resolve(name), device);
    Files.createSymbolicLink(device.resolve("subsystem"), root.resolve("bus/pci"));
    Files.writeString(device.resolve("class"), function.bridge() ? "0x060400\n" : "0x00ff00\n");
    Optional<IommuGroup> group = machine.groupOf(name);
    if (group.isPresent()) {
      Path folder = root.resolve("kernel/iommu_groups").resolve("" + group.get().id());
      Path members = Files.createDirectories(folder.resolve("devices"));
      Files.createSymbolicLink(members.resolve(name), device);
      Files.createSymbolicLink(device.resolve("iommu_group"), folder);
      Files.writeString(folder.resolve("reserved_regions"), regions(group.get()));
    }
  }

  private String regions(IommuGroup group) {
    StringBuilder lines = new StringBuilder();
    for (ReservedRegion region : machine.iommu().reservedRegions(group)) {
      String type = region.type().name().toLowerCase(Locale.ROOT).replace('_', '-');
      lines.append("0x%016x 0x%016x %s\n".formatted(region.start(), region.last(), type));
    }
    return lines.toString();
  }

  /** Has the links to drivers say what the machine says now. */
  public void drivers() {
    try {
      Path drivers = Files.createDirectories(root.resolve("bus/pci/drivers"));
      for (String name : machine.functions().stream().map(SoftFunction::name).toList()) {
        Path link = device(name).resolve("driver");
        Files.deleteIfExists(link);
        Optional<String> driver = machine.driverLink(name);
        if (driver.isPresent()) {
          Files.createSymbolicLink(link, Files.createDirectories(drivers.resolve(driver.get())));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The names of all functions on a driver. */
  public List<String> on(String driver) {
    return machine.functions().stream()
        .map(SoftFunction::name)
        .filter(name -> machine.driverLink(name).filter(driver::equals).isPresent())
        .toList();
  }
}
