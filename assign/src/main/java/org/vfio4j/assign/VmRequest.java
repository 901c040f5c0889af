// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A VM and what it asks for.
 *
 * @param name its name, unique in the file
 * @param memory RAM in bytes, a multiple of 2 MiB; unknown RAM is not mapped
 * @param memlock RLIMIT_MEMLOCK of its process, in bytes; unlimited if not given
 * @param viommu whether the guest has an IOMMU: each device then is an address space of its own
 * @param devices in the order QEMU would add them
 */
public record VmRequest(
    String name,
    Optional<Long> memory,
    Optional<Long> memlock,
    boolean viommu,
    List<DeviceRequest> devices) {

  /** Copies the list. */
  public VmRequest {
    devices = List.copyOf(devices);
  }

  /** The same with other devices. */
  public VmRequest with(List<DeviceRequest> other) {
    return new VmRequest(name, memory, memlock, viommu, other);
  }

  /** The same with one more device. */
  public VmRequest plus(DeviceRequest device) {
    List<DeviceRequest> more = new ArrayList<>(devices);
    more.add(device);
    return with(more);
  }

  /** The same without a device. */
  public VmRequest without(DeviceRequest device) {
    return with(devices.stream().filter(d -> !d.equals(device)).toList());
  }

  /** The same with or without an IOMMU in the guest. */
  public VmRequest withViommu(boolean value) {
    return new VmRequest(name, memory, memlock, value, devices);
  }

  /** The same with another limit on locked memory. */
  public VmRequest withMemlock(long bytes) {
    return new VmRequest(name, memory, Optional.of(bytes), viommu, devices);
  }

  /** The same with other RAM. */
  public VmRequest withMemory(long bytes) {
    return new VmRequest(name, Optional.of(bytes), memlock, viommu, devices);
  }
}
