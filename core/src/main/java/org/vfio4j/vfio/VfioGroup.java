// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;

/**
 * An IOMMU group that VFIO offers ({@code struct vfio_group}): there while a member is registered,
 * and while somebody has it open. The machine's lock covers it.
 */
final class VfioGroup {
  final IommuGroup group;

  /** Members that are registered with VFIO. */
  final Set<Device> devices = new LinkedHashSet<>();

  /**
   * Members that nobody has open and nobody can open any more, whose drivers wait for the group to
   * leave its container ({@code wait_event(group->container_q)} of 5.3 and 5.10). What is
   * registered meanwhile does not end that wait.
   */
  final Set<Device> stalled = new LinkedHashSet<>();

  /** The group whose hardware a container moves; held by a reference while a container is set. */
  Optional<IommuGroup> claimed = Optional.empty();

  Optional<VfioContainer> container = Optional.empty();

  /**
   * A call is under way that has left the machine's lock ({@link MachineLock}): it opens the group
   * or a device of it, closes one, or takes the group into a container or out of it. Whoever wants
   * the group waits, as for {@code group_lock} of the kernel.
   */
  boolean busy;

  /**
   * The process that has the group's file open; kept while a device's descriptor keeps the group.
   */
  String opener = "";

  boolean fileOpen;
  int deviceFiles;

  /**
   * All devices are gone, and the group with them: what is still open is of no use. Before 6.1 a
   * group outlives its devices for as long as somebody has it open.
   */
  boolean dead;

  VfioGroup(IommuGroup group) {
    this.group = group;
  }

  /** Whether no IOMMU serves it ({@code VFIO_NO_IOMMU}). */
  boolean noiommu() {
    return group instanceof NoiommuGroup;
  }

  /** Its file. */
  String path() {
    return (noiommu() ? "/dev/vfio/noiommu-" : "/dev/vfio/") + group.id();
  }

  /** Whether a descriptor keeps it, the group's own or a device's. */
  boolean opened() {
    return fileOpen || deviceFiles > 0;
  }
}
