// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;

/**
 * A host of a capture as the files of {@code /sys} that programs read of PCI functions: attributes,
 * links, and a config space with what the capture tells of it.
 */
final class HostTree {
  private static final int CONFIG = 4096;
  private static final int EXPRESS = 0x40;
  private static final int EXTENDED = 0x100;

  private final HostTopology host;
  private final SysfsTree tree;

  private HostTree(HostTopology host, Path root) {
    this.host = host;
    this.tree = new SysfsTree(root);
  }

  /** Writes {@code sys} below the folder. */
  static void write(HostTopology host, Path root) throws IOException {
    HostTree written = new HostTree(host, root);
    for (PciFunction function : host.functions()) {
      written.write(function);
    }
  }

  private String folder(PciFunction function) {
    String above =
        function
            .parent()
            .value()
            .flatMap(host::function)
            .map(this::folder)
            .orElseGet(
                () -> "sys/devices/pci%s".formatted(function.address().toString().substring(0, 7)));
    return above + "/" + function.address();
  }

  private void write(PciFunction function) throws IOException {
    String folder = folder(function);
    int code = code(function);
    tree.file(folder + "/class", "0x%06x\n".formatted(code));
    tree.file(folder + "/vendor", "0x%04x\n".formatted(vendor(function)));
    tree.file(folder + "/device", "0x%04x\n".formatted(device(function)));
    tree.file(folder + "/revision", "0x01\n");
    PciId subsystem = function.subsystem().orElse(new PciId(0, 0));
    tree.file(folder + "/subsystem_vendor", "0x%04x\n".formatted(subsystem.vendor()));
    tree.file(folder + "/subsystem_device", "0x%04x\n".formatted(subsystem.device()));
    tree.file(folder + "/irq", "0\n");
    String nothing = "0x" + "0".repeat(16);
    tree.file(
        folder + "/resource", (String.join(" ", nothing, nothing, nothing) + "\n").repeat(13));
    tree.file(folder + "/numa_node", function.numaNode().value().orElse(-1) + "\n");
    tree.file(
        folder + "/driver_override", function.driverOverride().value().orElse("(null)") + "\n");
    Files.write(tree.root().resolve(folder + "/config"), config(function, code));
    tree.link("sys/bus/pci/devices/" + function.address(), folder);
    tree.link(folder + "/subsystem", "sys/bus/pci");
    if (function.driver() instanceof Fact.Known<String>(String driver)) {
      tree.link(folder + "/driver", "sys/bus/pci/drivers/" + driver);
      tree.link("sys/bus/pci/drivers/" + driver + "/" + function.address(), folder);
    }
    if (function.group() instanceof Fact.Known<Integer>(Integer group)) {
      tree.link(folder + "/iommu_group", "sys/kernel/iommu_groups/" + group);
      tree.link("sys/kernel/iommu_groups/" + group + "/devices/" + function.address(), folder);
    }
  }

  private static int code(PciFunction function) {
    int other = function.isBridge().orElse(false) ? 0x060400 : 0x088000;
    return function.classCode().map(c -> c.code16() << 8 | c.progIf().orElse(0)).orElse(other);
  }

  private static int vendor(PciFunction function) {
    return function.id().map(PciId::vendor).orElse(0x1af4);
  }

  private static int device(PciFunction function) {
    return function.id().map(PciId::device).orElse(0x1000);
  }

  private static byte[] config(PciFunction function, int code) {
    ByteBuffer space = ByteBuffer.allocate(CONFIG).order(ByteOrder.LITTLE_ENDIAN);
    space.putShort(0, (short) vendor(function)).putShort(2, (short) device(function));
    space.putInt(8, code << 8 | 1);
    HeaderType header =
        function.headerType().orElse(code >> 8 == 0x0604 ? HeaderType.BRIDGE : HeaderType.NORMAL);
    space.put(0x0e, (byte) header.ordinal());
    if (header == HeaderType.NORMAL) {
      PciId subsystem = function.subsystem().orElse(new PciId(0, 0));
      space.putShort(0x2c, (short) subsystem.vendor()).putShort(0x2e, (short) subsystem.device());
    }
    if (header == HeaderType.BRIDGE && function.buses().isPresent()) {
      BusRange buses = function.buses().get();
      space.put(0x18, (byte) bus(function)).put(0x19, (byte) buses.secondary());
      space.put(0x1a, (byte) buses.subordinate());
    }
    if (function.pcieType().isPresent() && function.pcieType().get() != PcieType.CONVENTIONAL) {
      space.putShort(6, (short) 0x10).put(0x34, (byte) EXPRESS);
      space.put(EXPRESS, (byte) 0x10).put(EXPRESS + 2, (byte) (express(function) << 4 | 2));
      if (function.acs() instanceof Fact.Known<Acs>(Acs acs)) {
        space.putInt(EXTENDED, 0x1000d);
        space.putShort(EXTENDED + 4, bits(acs.capable()));
        space.putShort(EXTENDED + 6, bits(acs.enabled()));
      }
    }
    return space.array();
  }

  private static int bus(PciFunction function) {
    return Integer.parseInt(function.address().toString().substring(5, 7), 16);
  }

  private static int express(PciFunction function) {
    for (int code = 0; code < 16; code++) {
      if (PcieType.ofCode(code).equals(function.pcieType())) {
        return code;
      }
    }
    throw new AssertionError(function);
  }

  private static short bits(Set<Acs.Feature> features) {
    return (short) features.stream().mapToInt(f -> 1 << f.ordinal()).sum();
  }
}
