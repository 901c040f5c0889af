// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A VM and what it asks for.
 *
 * @param name its name, unique in the request: not empty, 128 characters at most, without '#' and
 *     without control characters
 * @param memory RAM in bytes, 1 MiB or more, in whole pages of 4 KiB; unknown RAM is not mapped
 * @param memlock RLIMIT_MEMLOCK of its process, in bytes; unlimited if not given
 * @param viommu whether the guest has an IOMMU: each device then is an address space of its own
 * @param devices in the order QEMU would add them; a function or an mdev stands there once
 * @param serving how a broker gives it these devices, and which others
 */
public record VmRequest(
    String name,
    Optional<Long> memory,
    Optional<Long> memlock,
    boolean viommu,
    List<DeviceRequest> devices,
    Serving serving) {

  /** The least RAM, in bytes. */
  public static final long LEAST_RAM = 1L << 20;

  /** The most RAM, in bytes: no IOMMU translates so many addresses, and sums with it fit. */
  public static final long MOST_RAM = 1L << 62;

  /** RAM comes in pieces of so many bytes. */
  static final long RAM_UNIT = 4096;

  private static final int MAX_NAME = 128;

  /**
   * Copies the list and checks.
   *
   * @throws IllegalArgumentException if a value is out of its bounds, or a device is there twice
   */
  public VmRequest {
    devices = List.copyOf(devices);
    if (!isName(name)) {
      throw new IllegalArgumentException(
          "a VM's name is not empty, has 128 characters at most, no '#' and no control characters");
    }
    memory.ifPresent(VmRequest::checkRam);
    if (memlock.filter(bytes -> bytes < 0).isPresent()) {
      throw new IllegalArgumentException("a limit on locked memory is not negative");
    }
    Set<DeviceRequest> seen = new HashSet<>();
    for (DeviceRequest device : devices) {
      if (!seen.add(device.withoutToken()) && device.oncePerVm()) {
        throw new IllegalArgumentException(device + " stands there twice");
      }
    }
  }

  /**
   * A VM of which the request does not say how it is served.
   *
   * @throws IllegalArgumentException if a value is out of its bounds, or a device is there twice
   */
  public VmRequest(
      String name,
      Optional<Long> memory,
      Optional<Long> memlock,
      boolean viommu,
      List<DeviceRequest> devices) {
    this(name, memory, memlock, viommu, devices, Serving.DEFAULT);
  }

  private static void checkRam(long bytes) {
    if (!isRam(bytes)) {
      throw new IllegalArgumentException(
          "RAM is 1MiB to 4EiB, in whole pages of 4KiB, and not " + Sizes.of(bytes));
    }
  }

  /** Whether a VM can have so many bytes of RAM. */
  public static boolean isRam(long bytes) {
    return bytes >= LEAST_RAM && bytes <= MOST_RAM && bytes % RAM_UNIT == 0;
  }

  private static boolean isName(String text) {
    return !text.isBlank()
        && text.length() <= MAX_NAME
        && text.indexOf('#') < 0
        && text.codePoints().noneMatch(Character::isISOControl);
  }

  /** A VM of which nothing is known but its devices: no IOMMU in the guest, no limit, any RAM. */
  public static VmRequest of(String name, DeviceRequest... devices) {
    return new VmRequest(name, Optional.empty(), Optional.empty(), false, List.of(devices));
  }

  /** The same under another name. */
  public VmRequest named(String other) {
    return new VmRequest(other, memory, memlock, viommu, devices, serving);
  }

  /** The same with another device in place of one. */
  VmRequest with(DeviceRequest device, DeviceRequest other) {
    return with(devices.stream().map(d -> d.equals(device) ? other : d).toList());
  }

  /** The same with other devices. */
  public VmRequest with(List<DeviceRequest> other) {
    return new VmRequest(name, memory, memlock, viommu, other, serving);
  }

  /** The same with one more device; the same as it is if that can be there once and is. */
  public VmRequest plus(DeviceRequest device) {
    if (device.oncePerVm() && devices.contains(device)) {
      return this;
    }
    List<DeviceRequest> more = new ArrayList<>(devices);
    more.add(device);
    return with(more);
  }

  /** The same without a device; of several that are equal, without the last. */
  public VmRequest without(DeviceRequest device) {
    List<DeviceRequest> fewer = new ArrayList<>(devices);
    int last = fewer.lastIndexOf(device);
    if (last >= 0) {
      fewer.remove(last);
    }
    return with(fewer);
  }

  /** The same with or without an IOMMU in the guest. */
  public VmRequest withViommu(boolean value) {
    return new VmRequest(name, memory, memlock, value, devices, serving);
  }

  /** The same with another limit on locked memory, in bytes. */
  public VmRequest withMemlock(long bytes) {
    return new VmRequest(name, memory, Optional.of(bytes), viommu, devices, serving);
  }

  /** The same with other RAM, in bytes. */
  public VmRequest withMemory(long bytes) {
    return new VmRequest(name, Optional.of(bytes), memlock, viommu, devices, serving);
  }

  /** The same, served in another way. */
  public VmRequest withServing(Serving other) {
    return new VmRequest(name, memory, memlock, viommu, devices, other);
  }
}
