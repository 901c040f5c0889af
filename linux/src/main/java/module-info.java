// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** The Linux kernel, through FFM: system calls, VFIO, the IOMMU that is a real container. */
module org.vfio4j.linux {
  requires transitive org.vfio4j.core;
  requires transitive org.vfio4j.posix;
  requires static org.jspecify;

  exports org.vfio4j.linux.bind;
  exports org.vfio4j.linux.device;
  exports org.vfio4j.linux.iommu;
  exports org.vfio4j.linux.sysfs;
  exports org.vfio4j.linux.uapi;
}
