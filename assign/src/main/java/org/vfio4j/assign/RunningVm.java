// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;

/**
 * A VM, or another program, that runs on the host and has devices already. A group goes to one
 * owner: whatever it holds of a group, it holds the group.
 *
 * @param name its name, not empty, without '#'; a VM of the request with this name is the same VM,
 *     and gets its devices while it runs
 * @param pid its process, where that is known
 * @param viommu whether each of its devices is an address space of its own; otherwise all are one
 * @param groups numbers of VFIO groups that it has open
 * @param devices PCI addresses and UUIDs of mediated devices that it has, as the kernel writes them
 */
public record RunningVm(
    String name, OptionalLong pid, boolean viommu, Set<Integer> groups, List<String> devices) {

  /**
   * Copies.
   *
   * @throws IllegalArgumentException if the name is not of its form, a group's number is negative,
   *     or a device is neither a PCI address nor a UUID
   */
  public RunningVm {
    if (name.isBlank() || name.contains("#")) {
      throw new IllegalArgumentException("a running VM's name is not empty and has no '#'");
    }
    groups = java.util.Collections.unmodifiableSet(new TreeSet<>(groups));
    if (groups.stream().anyMatch(g -> g < 0)) {
      throw new IllegalArgumentException("a group's number is not negative");
    }
    devices = devices.stream().map(RunningVm::canonical).distinct().toList();
  }

  private static String canonical(String device) {
    return PciAddress.tryParse(device)
        .map(PciAddress::toString)
        .or(() -> Mdev.parseUuid(device).map(UUID::toString))
        .orElseThrow(
            () -> new IllegalArgumentException("no PCI address, and no UUID: '" + device + "'"));
  }

  /** A VM that has these devices, in one address space. */
  public static RunningVm holding(String name, String... devices) {
    return new RunningVm(name, OptionalLong.empty(), false, Set.of(), List.of(devices));
  }

  /** A process that has these groups open, as {@code /proc/PID/fd} shows. */
  public static RunningVm ofProcess(String name, long pid, Set<Integer> groups) {
    return new RunningVm(name, OptionalLong.of(pid), false, groups, List.of());
  }

  /** Every group that it holds: those it has open, and those of its devices. */
  Set<Integer> allGroups(HostTopology host) {
    Set<Integer> all = new TreeSet<>(groups);
    devices.forEach(d -> groupOf(host, d).ifPresent(all::add));
    return all;
  }

  /** The VFIO group of a function or mediated device. */
  static Optional<Integer> groupOf(HostTopology host, String device) {
    return PciAddress.tryParse(device)
        .flatMap(host::groupOf)
        .map(g -> g.id())
        .or(() -> Mdev.parseUuid(device).flatMap(host::mdev).flatMap(Mdev::group));
  }

  /** What it has of a group, by name: its devices there, or all that VFIO could give it of it. */
  List<String> devicesIn(HostTopology host, int group) {
    Optional<Integer> wanted = Optional.of(group);
    List<String> named = devices.stream().filter(d -> groupOf(host, d).equals(wanted)).toList();
    if (!named.isEmpty()) {
      return named;
    }
    List<String> all = new ArrayList<>();
    host.members(group).stream()
        .filter(f -> Standing.offered(f))
        .forEach(f -> all.add(f.address().toString()));
    host.mdevs().stream()
        .filter(m -> m.group().equals(wanted))
        .forEach(m -> all.add(m.uuid().toString()));
    return all;
  }
}
