// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * Goes from a block or net device of sysfs down to the PCI functions that carry it, through all it
 * is made of: partitions, dm, MD, bcache, multipath; bridges, bonds, VLANs, macvlans.
 */
final class DeviceStack {
  /** Virtual devices that lie on no other device, or whose file lies on a mounted one. */
  private static final Pattern BOTTOMLESS =
      Pattern.compile("(loop|ram|zram|nbd|rbd|nullb|zd|dm-|lo)[0-9]*");

  private final Set<Path> seen = new HashSet<>();
  private final Set<PciAddress> functions = new TreeSet<>();
  private boolean told = true;

  private DeviceStack() {}

  /** The stack below a device. */
  static DeviceStack below(Path device) {
    DeviceStack stack = new DeviceStack();
    stack.add(device);
    return stack;
  }

  /** The functions that carry it; none where it lies on no PCI function. */
  Set<PciAddress> functions() {
    return functions;
  }

  /** Whether the source shows what all of it lies on. */
  boolean told() {
    return told;
  }

  private void add(Path device) {
    Path real;
    try {
      real = device.toRealPath();
    } catch (IOException e) {
      told = false;
      return;
    }
    if (!seen.add(real)) {
      return;
    }
    Set<PciAddress> carriers = carriers(real);
    functions.addAll(carriers);
    if (!carriers.isEmpty()) {
      return;
    }
    List<Path> lower = lower(real);
    lower.forEach(this::add);
    boolean virtual = real.toString().contains("/devices/virtual/");
    if (lower.isEmpty() && virtual) {
      told &= BOTTOMLESS.matcher(real.getFileName().toString()).matches();
    }
  }

  /**
   * The function in whose folder the device lies; those above it that are no bridges, as Intel's
   * VMD; and the physical function of a virtual one, which leaves with it.
   */
  private static Set<PciAddress> carriers(Path real) {
    Set<PciAddress> found = new TreeSet<>();
    for (Path at = real; at != null && at.getFileName() != null; at = at.getParent()) {
      Optional<PciAddress> address = PciAddress.tryParse(at.getFileName().toString());
      if (address.isPresent() && (found.isEmpty() || isEndpoint(at))) {
        found.add(address.get());
        physical(at).ifPresent(found::add);
      }
    }
    return found;
  }

  private static boolean isEndpoint(Path function) {
    String code = SysfsReader.text(function.resolve("class")).orElse("0x06");
    return !code.startsWith("0x06");
  }

  private static Optional<PciAddress> physical(Path function) {
    try {
      Path link = Files.readSymbolicLink(function.resolve("physfn"));
      return PciAddress.tryParse(link.getFileName().toString());
    } catch (IOException | UnsupportedOperationException e) {
      return Optional.empty();
    }
  }

  private static List<Path> lower(Path real) {
    List<Path> lower = new ArrayList<>(SysfsReader.entries(real.resolve("slaves")));
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
}
