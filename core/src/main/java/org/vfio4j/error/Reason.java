// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

/**
 * Why a call was refused. The names are stable: they are the {@code code} of the command's JSON and
 * what {@code vfio explain} looks up. One errno has many reasons; one reason may, by kernel, have
 * different errnos.
 */
public enum Reason {
  /** Another container has attached the same IOMMU group. */
  BACKING_GROUP_HELD,
  /** A group's file has one opener at a time. */
  GROUP_OPEN,
  /** The group is in a container already; every container is one address space. */
  MULTIPLE_ADDRESS_SPACES,
  /** A member of the group is bound to a driver of the host. */
  GROUP_NOT_VIABLE,
  /** No such group, or none that VFIO offers. */
  NO_GROUP,
  /** No such device in this group. */
  DEVICE_NOT_IN_GROUP,
  /** The function is wrapped as a mediated device and cannot be opened as itself. */
  FUNCTION_WRAPPED,
  /** A virtual function of a physical function on vfio-pci needs its token. */
  VF_TOKEN,
  /** Firmware keeps identity mappings for the device (RMRR). */
  RMRR_LOCKED,
  /** Nothing keeps the device's interrupts apart from others'. */
  INTERRUPTS_NOT_ISOLATED,
  /** A mapping lies in a region that the group reserves. */
  RESERVED_REGION,
  /** A mapping lies outside what the IOMMU can address. */
  APERTURE,
  /** The range is not inside one of the container's IOVA ranges: reserved, or beyond the width. */
  IOVA_NOT_AVAILABLE,
  /** The range overlaps a mapping. */
  MAPPING_EXISTS,
  /** There is no mapping there. */
  NO_MAPPING,
  /** The range would cut a mapping in two. */
  MAPPING_BISECTED,
  /** The container has used up dma_entry_limit. */
  ENTRY_LIMIT,
  /** RLIMIT_MEMLOCK would be exceeded. */
  LOCKED_MEMORY,
  /** The memory is not there, or not writable. */
  BAD_ADDRESS,
  /** A mapping's address is being replaced. */
  VADDR_INVALID,
  /** The group is attached here already. */
  ALREADY_ATTACHED,
  /** A container has groups with an IOMMU or groups without one, not both. */
  NOIOMMU_MIXED,
  /** Members of one group sit on different buses. */
  MIXED_BUSES,
  /** The wrapped function has no IOMMU group. */
  NO_BACKING_GROUP,
  /** The IOMMU gave no domain. */
  NO_DOMAIN,
  /** The IOMMU cannot do it (nesting, aux domains). */
  NOT_SUPPORTED,
  /** The function's own requests belong to the IOMMU's PASID mode, or the reverse. */
  AUX_MODE,
  /** The parent's instances are used up. */
  MDEV_INSTANCES,
  /** A driver or a user has the device. */
  DEVICE_BUSY,
  /** Device descriptors of the group are still open. */
  USERS_REMAIN,
  /** The container has no IOMMU set, or one is set already. */
  CONTAINER_STATE,
  /** The group is in no container, or in one already. */
  GROUP_STATE,
  /** Not a descriptor of the needed kind. */
  BAD_DESCRIPTOR,
  /** An argument that the call does not take. */
  BAD_ARGUMENT,
  /** The call has no such command. */
  UNKNOWN_CALL,
  /** The mdev's driver may not pin there. */
  PIN_REFUSED,
  /** Out of memory, or a configured bound was reached. */
  NO_MEMORY,
  /** The caller lacks a capability. */
  NOT_PERMITTED
}
