// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * The engine: what an IOMMU group, a domain, a container and a mediated device are, and what VFIO
 * answers when they are put together. No I/O and no dependency.
 */
module org.vfio4j.core {
  requires static org.jspecify;
  requires transitive jdk.jfr;

  exports org.vfio4j.error;
  exports org.vfio4j.event;
  exports org.vfio4j.iommu;
  exports org.vfio4j.mdev;
  exports org.vfio4j.profile;
  exports org.vfio4j.soft;
  exports org.vfio4j.type1;
  exports org.vfio4j.vfio;
}
