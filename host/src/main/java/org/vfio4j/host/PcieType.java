// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/** Device/port type of the PCI Express capability, bits 7:4 of its flags register. */
public enum PcieType {
  /** PCIe endpoint. */
  ENDPOINT(0, "endpoint", "Endpoint", "PCIe Endpoint"),
  /** Legacy PCIe endpoint. */
  LEGACY_ENDPOINT(1, "legacy-endpoint", "Legacy Endpoint", "PCIe Legacy Endpoint"),
  /** Root port of a root complex. */
  ROOT_PORT(4, "root-port", "Root Port", "PCIe Root Port"),
  /** Upstream port of a switch. */
  UPSTREAM_PORT(5, "upstream-port", "Upstream Port", "PCIe Switch Upstream Port"),
  /** Downstream port of a switch. */
  DOWNSTREAM_PORT(6, "downstream-port", "Downstream Port", "PCIe Switch Downstream Port"),
  /** Bridge from PCIe to conventional PCI: hides the requester behind it. */
  PCIE_TO_PCI_BRIDGE(
      7, "pcie-to-pci-bridge", "PCI-Express to PCI/PCI-X Bridge", "PCIe to PCI/PCI-X bridge"),
  /** Bridge from conventional PCI to PCIe. */
  PCI_TO_PCIE_BRIDGE(
      8, "pci-to-pcie-bridge", "PCI/PCI-X to PCI-Express Bridge", "PCI/PCI-X to PCIe bridge"),
  /** Endpoint integrated in the root complex. */
  ROOT_COMPLEX_INTEGRATED_ENDPOINT(
      9, "rciep", "Root Complex Integrated Endpoint", "PCIe Root Complex Integrated Endpoint"),
  /** Event collector of the root complex. */
  ROOT_COMPLEX_EVENT_COLLECTOR(
      10, "rcec", "Root Complex Event Collector", "PCIe Root Complex Event Collector"),
  /** No PCI Express capability: conventional PCI or PCI-X. */
  CONVENTIONAL(-1, "conventional", "(no Express capability)", "conventional PCI");

  private final int code;
  private final String word;
  private final String lspci;
  private final String kernel;

  PcieType(int code, String word, String lspci, String kernel) {
    this.code = code;
    this.word = word;
    this.lspci = lspci;
    this.kernel = kernel;
  }

  /** The word for it in a capture. */
  public String word() {
    return word;
  }

  /** The type with this number in the flags register; empty for a reserved one. */
  public static Optional<PcieType> ofCode(int code) {
    for (PcieType type : values()) {
      if (type.code == code && code >= 0) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /** The type in the text that lspci prints after {@code Express}, or {@code Express (v2)}. */
  static Optional<PcieType> ofLspci(String text) {
    for (PcieType type : values()) {
      if (text.startsWith(type.lspci)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /** The type in the text that the kernel logs after the class, from Linux 6.8 on. */
  static Optional<PcieType> ofKernelLog(String text) {
    for (PcieType type : values()) {
      if (text.startsWith(type.kernel)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
