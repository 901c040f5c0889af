// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.type1.Type1Parameters;

/** The files of sysfs that have to do with VFIO, of a machine in software. */
final class SoftSysfs {
  private static final String PARAMETERS = "/sys/module/vfio_iommu_type1/parameters/";
  private static final String NOIOMMU = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  private static final Pattern DRIVER =
      Pattern.compile("/sys/bus/pci/drivers/([^/]+)/(bind|unbind)");
  private static final Pattern DEVICE = Pattern.compile("/sys/bus/pci/devices/([^/]+)/(.+)");
  private static final Pattern TYPE =
      Pattern.compile(
          "/sys/(?:class/mdev_bus|bus/pci/devices)/([^/]+)/mdev_supported_types/([^/]+)/(\\w+)");
  private static final Pattern MDEV_REMOVE =
      Pattern.compile("/sys/(?:bus/mdev/devices|bus/pci/devices/[^/]+)/([^/]{36})/remove");
  private static final Pattern GROUP = Pattern.compile("/sys/kernel/iommu_groups/(\\d+)/(\\w+)");

  private final SoftMachine machine;
  private final Map<String, String> overrides = new HashMap<>();

  SoftSysfs(SoftMachine machine) {
    this.machine = machine;
  }

  /** Writes; false if the kernel would wait for a user. ENOENT for a file that is not there. */
  boolean write(String path, String text) {
    String value = text.strip();
    if (path.startsWith(PARAMETERS)) {
      setParameter(path, value);
      return true;
    }
    if (path.equals(NOIOMMU)) {
      machine.vfioParameters().unsafeNoiommu(flag(value));
      return true;
    }
    if (path.equals("/sys/bus/pci/drivers_probe")) {
      return probe(value);
    }
    Matcher driver = DRIVER.matcher(path);
    if (driver.matches()) {
      return driver.group(2).equals("unbind")
          ? unbind(driver.group(1), value)
          : bind(driver.group(1), value);
    }
    Matcher type = TYPE.matcher(path);
    if (type.matches() && type.group(3).equals("create")) {
      machine.createMdev(type.group(1), type.group(2), value.toLowerCase(Locale.ROOT));
      return true;
    }
    Matcher remove = MDEV_REMOVE.matcher(path);
    if (remove.matches()) {
      return machine.removeMdev(remove.group(1));
    }
    Matcher device = DEVICE.matcher(path);
    if (device.matches()) {
      return writeDevice(path, function(path, device.group(1)), device.group(2), value);
    }
    throw noFile(path);
  }

  private boolean writeDevice(String path, SoftFunction function, String file, String value) {
    switch (file) {
      case "driver_override" -> {
        overrides.put(function.name(), value);
        return true;
      }
      case "driver/unbind" -> {
        return unbind(machine.driver(function.name()).orElseThrow(() -> noFile(path)), value);
      }
      default -> throw noFile(path);
    }
  }

  private void setParameter(String path, String value) {
    Type1Parameters parameters = machine.parameters();
    switch (path.substring(PARAMETERS.length())) {
      case "dma_entry_limit" -> parameters.entryLimit((int) number(value));
      case "allow_unsafe_interrupts" -> parameters.allowUnsafeInterrupts(flag(value));
      case "disable_hugepages" -> flag(value);
      default -> throw noFile(path);
    }
  }

  private static long number(String value) {
    try {
      return Long.decode(value);
    } catch (NumberFormatException e) {
      throw invalid("'%s' is not a number".formatted(value));
    }
  }

  private static boolean flag(String value) {
    return switch (value) {
      case "Y", "y", "1", "on" -> true;
      case "N", "n", "0", "off" -> false;
      default -> throw invalid("'%s' is neither Y nor N".formatted(value));
    };
  }

  private boolean probe(String name) {
    String driver = overrides.getOrDefault(name, "");
    if (driver.isEmpty() || machine.driver(machine.function(name).name()).isPresent()) {
      return true;
    }
    return machine.bind(name, driver);
  }

  private boolean bind(String driver, String name) {
    boolean bound = machine.driver(machine.function(name).name()).isPresent();
    boolean wanted = overrides.getOrDefault(name, driver).equals(driver);
    boolean unasked = driver.equals("vfio-pci") && !overrides.containsKey(name);
    if (bound || !wanted || unasked) {
      throw new VfioException(
          Errno.ENODEV, Reason.BAD_ARGUMENT, "%s does not take %s".formatted(driver, name), name);
    }
    return machine.bind(name, driver);
  }

  private boolean unbind(String driver, String name) {
    if (!machine.driver(name).equals(Optional.of(driver))) {
      throw new VfioException(
          Errno.ENODEV, Reason.BAD_ARGUMENT, "%s has not %s".formatted(driver, name), name);
    }
    return machine.unbind(name);
  }

  /** The lines of a file. ENOENT for one that is not there. */
  List<String> read(String path) {
    if (path.startsWith(PARAMETERS)) {
      return List.of(parameter(path));
    }
    if (path.equals(NOIOMMU)) {
      return List.of(machine.vfioParameters().unsafeNoiommu() ? "Y" : "N");
    }
    Matcher type = TYPE.matcher(path);
    if (type.matches()) {
      return List.of(readType(path, type));
    }
    Matcher group = GROUP.matcher(path);
    if (group.matches()) {
      return readGroup(path, Integer.parseInt(group.group(1)), group.group(2));
    }
    Matcher device = DEVICE.matcher(path);
    if (device.matches()) {
      SoftFunction function = function(path, device.group(1));
      return List.of(
          switch (device.group(2)) {
            case "vendor" -> "0x%04x".formatted(function.vendor());
            case "device" -> "0x%04x".formatted(function.device());
            case "driver_override" -> overrides.getOrDefault(function.name(), "(null)");
            default -> throw noFile(path);
          });
    }
    throw noFile(path);
  }

  private String parameter(String path) {
    Type1Parameters parameters = machine.parameters();
    return switch (path.substring(PARAMETERS.length())) {
      case "dma_entry_limit" -> Integer.toUnsignedString(parameters.entryLimit());
      case "allow_unsafe_interrupts" -> parameters.allowUnsafeInterrupts() ? "Y" : "N";
      case "disable_hugepages" -> "N";
      default -> throw noFile(path);
    };
  }

  private String readType(String path, Matcher matched) {
    MdevParent parent = machine.parent(matched.group(1)).orElseThrow(() -> noFile(path));
    MdevParent.Type type =
        parent.types().stream()
            .filter(t -> t.name().equals(matched.group(2)))
            .findFirst()
            .orElseThrow(() -> noFile(path));
    return switch (matched.group(3)) {
      case "available_instances" -> Integer.toString(parent.available(type.name()));
      case "device_api" -> "vfio-pci";
      case "name" -> type.name();
      default -> throw noFile(path);
    };
  }

  private List<String> readGroup(String path, int id, String file) {
    IommuGroup group =
        machine.iommu().groups().stream()
            .filter(g -> g.id() == id)
            .findFirst()
            .orElseThrow(() -> noFile(path));
    if (!file.equals("reserved_regions")) {
      throw noFile(path);
    }
    return machine.iommu().reservedRegions(group).stream().map(SoftSysfs::line).toList();
  }

  private static String line(ReservedRegion region) {
    String type =
        switch (region.type()) {
          case DIRECT -> "direct";
          case DIRECT_RELAXABLE -> "direct-relaxable";
          case RESERVED -> "reserved";
          case MSI, SW_MSI -> "msi";
        };
    return "0x%016x 0x%016x %s".formatted(region.start(), region.last(), type);
  }

  private SoftFunction function(String path, String name) {
    return machine.functions().stream()
        .filter(f -> f.name().equals(name))
        .findFirst()
        .orElseThrow(() -> noFile(path));
  }

  private static VfioException noFile(String path) {
    return new VfioException(Errno.ENOENT, Reason.BAD_ARGUMENT, "there is no " + path);
  }

  private static VfioException invalid(String message) {
    return new VfioException(Errno.EINVAL, Reason.BAD_ARGUMENT, message);
  }
}
