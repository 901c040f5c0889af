// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Map;
import org.vfio4j.host.Origin;
import org.vfio4j.host.PciClass;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;

/** Short names for readers. */
final class Words {

  private static final Map<Integer, String> CLASSES =
      Map.ofEntries(
          Map.entry(0x0100, "SCSI"),
          Map.entry(0x0101, "IDE"),
          Map.entry(0x0104, "RAID"),
          Map.entry(0x0106, "SATA"),
          Map.entry(0x0107, "SAS"),
          Map.entry(0x0108, "NVMe"),
          Map.entry(0x0200, "Ethernet"),
          Map.entry(0x0207, "InfiniBand"),
          Map.entry(0x0280, "network"),
          Map.entry(0x0300, "VGA"),
          Map.entry(0x0302, "3D"),
          Map.entry(0x0380, "display"),
          Map.entry(0x0401, "audio"),
          Map.entry(0x0403, "audio"),
          Map.entry(0x0500, "RAM"),
          Map.entry(0x0502, "CXL memory"),
          Map.entry(0x0600, "host bridge"),
          Map.entry(0x0601, "ISA bridge"),
          Map.entry(0x0604, "PCI bridge"),
          Map.entry(0x0607, "CardBus"),
          Map.entry(0x0700, "serial port"),
          Map.entry(0x0780, "communication"),
          Map.entry(0x0800, "PIC"),
          Map.entry(0x0801, "DMA engine"),
          Map.entry(0x0805, "SD host"),
          Map.entry(0x0806, "IOMMU"),
          Map.entry(0x0c00, "FireWire"),
          Map.entry(0x0c03, "USB"),
          Map.entry(0x0c04, "Fibre Channel"),
          Map.entry(0x0c05, "SMBus"),
          Map.entry(0x0c07, "IPMI"),
          Map.entry(0x0c80, "serial bus"),
          Map.entry(0x1101, "counters"));

  private static final String[] BASES = {
    "unclassified", "storage", "network", "display", "multimedia", "memory", "bridge",
    "communication", "system", "input", "dock", "processor", "serial bus", "wireless",
    "I2O", "satellite", "encryption", "signal", "accelerator", "instrument"
  };

  private Words() {}

  /** The class of a function; {@code ?} where it is unknown. */
  static String classOf(PciFunction function) {
    return function.classCode().map(Words::of).orElse("?");
  }

  private static String of(PciClass code) {
    String name = CLASSES.get(code.code16());
    if (name != null) {
      return name;
    }
    if (code.base() < BASES.length) {
      return BASES[code.base()];
    }
    return code.base() == 0x40 ? "coprocessor" : "class " + code;
  }

  /** A duty of the host. */
  static String of(Role role) {
    return switch (role) {
      case BOOT_DISK -> "boot disk";
      case MANAGEMENT_NETWORK -> "management network";
      case CONSOLE -> "console";
      case STORAGE -> "storage in use";
      case NETWORK -> "network in use";
    };
  }

  /** Where the facts come from. */
  static String of(Origin origin) {
    return switch (origin) {
      case SYSFS -> "sysfs";
      case UMOCKDEV -> "a umockdev recording";
      case LSPCI -> "lspci";
      case LISTING -> "a listing of groups";
      case DMESG -> "a kernel log";
      case MANUAL -> "a capture written by hand";
    };
  }
}
