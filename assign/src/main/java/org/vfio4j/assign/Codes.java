// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

/** Codes of refusals that no kernel makes. The rest are the names of the engine's reasons. */
public final class Codes {
  /** The function carries the host's boot disk. */
  public static final String HOST_BOOT_DISK = "HOST_BOOT_DISK";

  /** The function carries the host's management network. */
  public static final String HOST_MANAGEMENT_NETWORK = "HOST_MANAGEMENT_NETWORK";

  /** The function is the host's console. */
  public static final String HOST_CONSOLE = "HOST_CONSOLE";

  /** The function carries another disk that the host uses. */
  public static final String HOST_STORAGE = "HOST_STORAGE";

  /** The function carries another network that the host uses. */
  public static final String HOST_NETWORK = "HOST_NETWORK";

  /** The source does not say in which IOMMU group the function is. */
  public static final String GROUP_UNKNOWN = "GROUP_UNKNOWN";

  /** The function is in no IOMMU group. */
  public static final String NO_IOMMU_GROUP = "NO_IOMMU_GROUP";

  private Codes() {}
}
