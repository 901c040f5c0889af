// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/** Changes to what is asked for that may help against a refusal. */
final class RequestCandidates {
  private static final int ALTERNATIVES = 4;
  private static final int DEFAULT_BITS = 48;
  private static final long GIB = 1L << 30;

  private final Request request;
  private final HostTopology host;

  RequestCandidates(Request request, HostTopology host) {
    this.request = request;
    this.host = host;
  }

  private VmRequest vm(String name) {
    return request.vm(name).orElseThrow();
  }

  /** Another VM of the request has the group: it gets this device too. */
  List<Fix> join(String vm, DeviceRequest wanted, DeviceRefusal refusal) {
    List<Fix> found = new ArrayList<>();
    Optional<String> holder = refusal.holder().map(DeviceRefusal.HolderVm::vm);
    if (holder.isPresent() && holder.get().equals(vm)) {
      found.add(new Fix.ShareAddressSpace(vm));
    }
    holder
        .filter(h -> !h.equals(vm) && request.vm(h).isPresent())
        .ifPresent(h -> found.add(has(h, wanted) ? leaveOut(vm, wanted) : move(wanted, vm, h)));
    return found;
  }

  private static long rounded(long ram, int spaces) {
    long each = ram > Long.MAX_VALUE - 2 * GIB ? Long.MAX_VALUE / GIB * GIB : ram + GIB;
    long whole = (each - 1) / GIB + 1;
    return whole > Long.MAX_VALUE / GIB / spaces ? Long.MAX_VALUE : whole * spaces * GIB;
  }

  /** The VM asks for a function and for what would go with its driver: it can have one of them. */
  List<Fix> eitherOf(String vm, DeviceRequest wanted, DeviceRefusal refusal) {
    List<Fix> found = new ArrayList<>();
    found.add(leaveOut(vm, wanted));
    refusal.holder().filter(h -> h.vm().equals(vm)).stream()
        .flatMap(h -> h.devices().stream())
        .forEach(uuid -> found.add(leaveOut(vm, DeviceRequest.mdev(UUID.fromString(uuid)))));
    return found;
  }

  private boolean has(String vm, DeviceRequest wanted) {
    return vm(vm).devices().stream().anyMatch(wanted::sameDevice);
  }

  private static Fix leaveOut(String vm, DeviceRequest wanted) {
    return new Fix.LeaveOut(vm, wanted);
  }

  private static Fix move(DeviceRequest wanted, String from, String to) {
    return new Fix.Move(wanted, from, to);
  }

  /** Locked memory: RAM and 1 GiB once, or with an IOMMU in the guest once for each device. */
  List<Fix> moreLocked(String vm) {
    VmRequest asking = vm(vm);
    long ram = asking.memory().orElse(0L);
    int spaces = asking.viommu() ? Math.max(1, asking.devices().size()) : 1;
    // libvirt's rule: what QEMU maps beside RAM is not known to anybody, and 1 GiB was always
    // enough.
    long rounded = rounded(ram, spaces);
    List<Fix> found = new ArrayList<>();
    found.add(new Fix.RaiseMemlock(vm, rounded, spaces));
    if (asking.viommu()) {
      found.add(new Fix.ShareAddressSpace(vm));
    }
    return found;
  }

  /** RAM that ends before what stands in its way, the most first. */
  List<Fix> lessMemory(String vm) {
    long ram = vm(vm).memory().orElse(0L);
    Stream<Long> regions =
        host.groups().stream()
            .flatMap(g -> g.reservedRegions().orElse(List.of()).stream())
            .map(r -> r.start() < 4 * GIB ? r.start() : r.start() - 2 * GIB);
    int bits = host.iommu().addressWidth().orElse(DEFAULT_BITS);
    Stream<Long> width = bits < 63 ? Stream.of((1L << bits) - 4 * GIB) : Stream.of();
    return Stream.concat(width, regions)
        .map(
            bytes ->
                bytes >= GIB ? bytes / GIB * GIB : bytes / VmRequest.RAM_UNIT * VmRequest.RAM_UNIT)
        .filter(bytes -> bytes > 0 && bytes < ram)
        .distinct()
        .sorted(Comparator.reverseOrder())
        .limit(ALTERNATIVES)
        .map(bytes -> (Fix) new Fix.LessMemory(vm, bytes))
        .toList();
  }

  /** Other functions of the same make that nobody asked for, and no running VM's group has. */
  List<Fix> another(String vm, DeviceRequest wanted) {
    Optional<PciFunction> own = PciAddress.tryParse(wanted.device()).flatMap(host::function);
    if (own.isEmpty() || own.get().id().isEmpty()) {
      return List.of();
    }
    Set<String> requested =
        request.vms().stream()
            .flatMap(v -> v.devices().stream())
            .map(DeviceRequest::device)
            .collect(Collectors.toSet());
    Set<Integer> held =
        request.running().stream()
            .flatMap(r -> r.allGroups(host).stream())
            .collect(Collectors.toSet());
    return host.functions().stream()
        .filter(f -> f.group().value().filter(g -> !held.contains(g)).isPresent())
        .filter(f -> f.id().equals(own.get().id()) && f.group().value().isPresent())
        .filter(f -> f.physicalFunction().isNone() == own.get().physicalFunction().isNone())
        .filter(f -> !requested.contains(f.address().toString()))
        .filter(f -> host.rolesOf(f.address()).isEmpty())
        .limit(ALTERNATIVES)
        .map(
            f ->
                (Fix)
                    new Fix.AskFor(
                        vm,
                        wanted,
                        f.address(),
                        host.groupOf(f.address()).map(HostGroup::id).orElse(-1)))
        .toList();
  }

  /** The token that the physical function has, or gets from the VM that asks for it. */
  List<Fix> useToken(String vm, DeviceRequest wanted) {
    Optional<PciAddress> physical = Tokens.physical(wanted, host).map(PciFunction::address);
    if (physical.isEmpty()) {
      return List.of();
    }
    Optional<VmRequest> holder = Tokens.holder(request, physical.get());
    Optional<UUID> had =
        holder
            .flatMap(h -> Tokens.request(h, physical.get()))
            .flatMap(DeviceRequest::token)
            .or(() -> Optional.ofNullable(Tokens.of(request, host).get(physical.get())));
    boolean both = had.isEmpty() && holder.isPresent();
    return List.of(
        new Fix.UseToken(
            vm,
            wanted,
            physical.get(),
            holder.filter(_ -> both).map(VmRequest::name),
            both ? Optional.of(Fix.tokenOf(physical.get())) : had));
  }
}
