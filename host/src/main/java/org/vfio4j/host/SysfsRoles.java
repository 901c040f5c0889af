// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Finds out which functions carry the host's own disk and network: from the mounts and the routes
 * of proc, through the stacked block and net devices of sysfs.
 */
final class SysfsRoles {

  private static final long MAX_PROC = 1 << 20;
  private static final Set<String> BOOT_MOUNTS = Set.of("/", "/boot", "/boot/efi", "/usr");

  private final Path sys;
  private final Path proc;

  SysfsRoles(Path sys, Path proc) {
    this.sys = sys;
    this.proc = proc;
  }

  /** The functions below the file systems that the host runs on; empty where that is unknown. */
  Optional<List<PciAddress>> bootDisk() {
    List<String> mounts = lines("self/mountinfo").or(() -> lines("1/mountinfo")).orElse(List.of());
    Set<PciAddress> carriers = new HashSet<>();
    boolean rootFound = false;
    for (String mount : mounts) {
      String[] fields = mount.split(" ");
      if (fields.length < 10 || !BOOT_MOUNTS.contains(fields[4])) {
        continue;
      }
      Optional<Path> device = blockDevice(fields[2], mount);
      device.ifPresent(d -> collect(d, "slaves", carriers, new HashSet<>()));
      rootFound |= device.isPresent() && fields[4].equals("/");
    }
    if (mounts.isEmpty()) {
      return bootDiskOfPlainMounts();
    }
    return rootFound || !carriers.isEmpty() ? Optional.of(List.copyOf(carriers)) : Optional.empty();
  }

  /** {@code proc/mounts} names devices, not numbers: only names such as /dev/sda2 can be traced. */
  private Optional<List<PciAddress>> bootDiskOfPlainMounts() {
    Set<PciAddress> carriers = new HashSet<>();
    for (String mount : lines("mounts").orElse(List.of())) {
      String[] fields = mount.split(" ");
      if (fields.length >= 2 && BOOT_MOUNTS.contains(fields[1])) {
        namedBlockDevice(fields[0]).ifPresent(d -> collect(d, "slaves", carriers, new HashSet<>()));
      }
    }
    return carriers.isEmpty() ? Optional.empty() : Optional.of(List.copyOf(carriers));
  }

  private Optional<Path> blockDevice(String number, String mount) {
    Path byNumber = sys.resolve("dev/block/" + number);
    if (number.matches("[0-9]+:[0-9]+") && Files.exists(byNumber)) {
      return Optional.of(byNumber);
    }
    int dash = mount.indexOf(" - ");
    String[] tail = dash < 0 ? new String[0] : mount.substring(dash + 3).split(" ");
    return tail.length < 2 ? Optional.empty() : namedBlockDevice(tail[1]);
  }

  private Optional<Path> namedBlockDevice(String device) {
    if (!device.matches("/dev/[A-Za-z0-9_-]+")) {
      return Optional.empty();
    }
    Path byName = sys.resolve("class/block").resolve(device.substring(5));
    return Files.exists(byName) ? Optional.of(byName) : Optional.empty();
  }

  /** The functions below the interface of the default route; empty where there is none known. */
  Optional<List<PciAddress>> managementNetwork() {
    Set<PciAddress> carriers = new HashSet<>();
    boolean found = false;
    for (String route : lines("net/route").orElse(List.of())) {
      String[] fields = route.trim().split("\\s+");
      if (fields.length < 8 || !fields[1].equals("00000000") || !fields[7].equals("00000000")) {
        continue;
      }
      Path device = sys.resolve("class/net").resolve(fields[0].replace('/', '_'));
      if (Files.exists(device)) {
        found = true;
        collect(device, "lower_", carriers, new HashSet<>());
      }
    }
    return found ? Optional.of(List.copyOf(carriers)) : Optional.empty();
  }

  /** Adds the function that carries the device, or those that carry the devices it is made of. */
  private void collect(Path device, String below, Set<PciAddress> carriers, Set<Path> seen) {
    Path real;
    try {
      real = device.toRealPath();
    } catch (IOException e) {
      return;
    }
    if (!seen.add(real)) {
      return;
    }
    Optional<PciAddress> carrier = Optional.empty();
    for (Path part : real) {
      Optional<PciAddress> address = PciAddress.tryParse(part.toString());
      carrier = address.isPresent() ? address : carrier;
    }
    carrier.ifPresent(carriers::add);
    if (carrier.isEmpty()) {
      for (Path lower : lowerDevices(real, below)) {
        collect(lower, below, carriers, seen);
      }
    }
  }

  private static List<Path> lowerDevices(Path real, String below) {
    List<Path> lower = new ArrayList<>(SysfsReader.entries(real.resolve(below)));
    for (Path entry : SysfsReader.entries(real)) {
      if (entry.getFileName().toString().startsWith("lower_")) {
        lower.add(entry);
      }
    }
    Path above = real.getParent();
    if (lower.isEmpty() && above != null) {
      boolean partition = Files.exists(real.resolve("partition"));
      boolean multipath = above.getFileName().toString().startsWith("nvme-subsys");
      if (partition) {
        lower.add(above);
      } else if (multipath) {
        SysfsReader.entries(above).stream()
            .filter(p -> p.getFileName().toString().matches("nvme[0-9]+"))
            .forEach(lower::add);
      }
    }
    return lower;
  }

  private Optional<List<String>> lines(String name) {
    Path file = proc.resolve(name);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try (var in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes((int) MAX_PROC);
      return Optional.of(new String(bytes, StandardCharsets.UTF_8).lines().toList());
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
