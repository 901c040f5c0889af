// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Whether this machine has what VFIO needs; what to enable where it has not. */
public final class VfioPresence {
  private final Path root;

  /**
   * A machine.
   *
   * @param root where its /sys and /dev are
   */
  public VfioPresence(Path root) {
    this.root = root;
  }

  /** This machine. */
  public static VfioPresence ofThisMachine() {
    return new VfioPresence(Path.of("/"));
  }

  /** What is missing for devices to have IOMMU groups, in a sentence; empty if nothing is. */
  public Optional<String> missingIommu() {
    return isEmpty(root.resolve("sys/kernel/iommu_groups"))
        ? Optional.of(
            "this machine has no IOMMU groups: enable VT-d or AMD-Vi in its firmware, and boot"
                + " Linux with intel_iommu=on where the CPU is Intel's")
        : Optional.empty();
  }

  /** What is missing for this process to use VFIO, in a sentence; empty if nothing is. */
  public Optional<String> missing() {
    Optional<String> iommu = missingIommu();
    if (iommu.isPresent()) {
      return iommu;
    }
    Path container = root.resolve("dev/vfio/vfio");
    if (!Files.exists(container)) {
      return Optional.of(
          "this kernel has no VFIO loaded (/dev/vfio/vfio is missing): run 'modprobe vfio-pci'");
    }
    return Files.isReadable(container) && Files.isWritable(container)
        ? Optional.empty()
        : Optional.of("/dev/vfio/vfio cannot be opened by this user: run as root, or be given it");
  }

  private static boolean isEmpty(Path folder) {
    String[] entries = folder.toFile().list();
    return entries == null || entries.length == 0;
  }
}
