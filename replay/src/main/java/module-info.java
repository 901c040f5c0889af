// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * Op scripts, and the back ends that answer them: {@code soft}, the engine on an IOMMU in software;
 * {@code linux}, the engine above the kernel's containers; {@code kernel}, the kernel alone.
 */
module org.vfio4j.replay {
  requires transitive org.vfio4j.core;
  requires transitive org.vfio4j.linux;
  requires static org.jspecify;

  exports org.vfio4j.replay;
  exports org.vfio4j.replay.kernel;
}
