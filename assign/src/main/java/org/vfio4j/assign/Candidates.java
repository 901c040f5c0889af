// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.vfio4j.assign.Fixes.Candidate;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.vfio.DriverKind;

/** Changes that may help against a refusal; whether one does is for the engine to say. */
final class Candidates {
  private static final int ALTERNATIVES = 4;
  private static final long GIB = 1L << 30;
  private static final long MIB2 = 2L << 20;

  private final Request request;
  private final HostTopology host;
  private final Options options;

  Candidates(Request request, HostTopology host, Options options) {
    this.request = request;
    this.host = host;
    this.options = options;
  }

  /** Changes to try, the least intrusive first. */
  List<Candidate> of(String vm, DeviceVerdict device, DeviceRefusal refusal) {
    DeviceRequest wanted = device.request();
    List<Candidate> found = new ArrayList<>();
    switch (refusal.code()) {
      case "GROUP_NOT_VIABLE" -> found.addAll(unblock(vm, wanted));
      case "BACKING_GROUP_HELD", "GROUP_OPEN" -> found.addAll(join(vm, wanted, refusal));
      case "MULTIPLE_ADDRESS_SPACES" -> found.add(oneAddressSpace(vm));
      case "FUNCTION_WRAPPED" -> found.add(wrapNot(wanted));
      case "INTERRUPTS_NOT_ISOLATED" -> found.addAll(isolateInterrupts());
      case "LOCKED_MEMORY" -> found.addAll(moreLocked(vm));
      case "ENTRY_LIMIT" -> found.add(moreEntries());
      case "IOVA_NOT_AVAILABLE", "APERTURE", "RESERVED_REGION" -> found.addAll(lessMemory(vm));
      case "VF_TOKEN" -> found.addAll(releasePhysical(wanted));
      case "DEVICE_BUSY" -> found.addAll(removeVirtual(wanted));
      case Codes.NO_IOMMU_GROUP ->
          found.addAll(
              grouped(
                  wanted,
                  "switch the IOMMU on: VT-d or AMD-Vi in firmware, and intel_iommu=on on the"
                      + " kernel's command line where the CPU is Intel's; then check again, as it"
                      + " shows its groups only then"));
      case Codes.GROUP_UNKNOWN ->
          found.addAll(
              grouped(
                  wanted,
                  "check on the host itself, or on what 'vfio capture' says there with the IOMMU"
                      + " on"));
      default -> {}
    }
    found.addAll(alternatives(vm, wanted));
    return found;
  }

  /** The last resort: do not ask for it. */
  Candidate without(String vm, DeviceRequest wanted) {
    return changed(
        "leave %s out of %s".formatted(wanted, vm), request.with(vm, v -> v.without(wanted)));
  }

  private Candidate changed(String text, Request next) {
    return new Candidate(text, text, next, host, options);
  }

  private Candidate changed(String text, HostTopology next) {
    return new Candidate(text, text, request, next, options);
  }

  /** Members of the group that a host driver uses: release them, or give them away too. */
  private List<Candidate> unblock(String vm, DeviceRequest wanted) {
    List<PciFunction> blockers = blockers(wanted);
    if (blockers.isEmpty()
        || blockers.stream().anyMatch(b -> !host.rolesOf(b.address()).isEmpty())) {
      return List.of();
    }
    HostTopology released = host;
    List<String> names = new ArrayList<>();
    for (PciFunction blocker : blockers) {
      released = withFunction(released, blocker.toBuilder().driver(Fact.none()).build());
      names.add(blocker.address() + blocker.driver().value().map(d -> " from " + d).orElse(""));
    }
    Candidate release = changed("unbind %s".formatted(String.join(" and ", names)), released);
    Request more = request;
    for (PciFunction blocker : blockers) {
      DeviceRequest also =
          new DeviceRequest(
              Mode.WHOLE, blocker.address().toString(), Optional.empty(), wanted.at());
      more = more.with(vm, v -> v.plus(also));
    }
    Candidate give =
        changed(
            "give %s to %s too"
                .formatted(
                    blockers.stream()
                        .map(b -> b.address().toString())
                        .reduce((a, b) -> a + " and " + b)
                        .orElse(""),
                    vm),
            more);
    return List.of(release, give);
  }

  private List<PciFunction> blockers(DeviceRequest wanted) {
    Set<String> requested = requested();
    return PciAddress.tryParse(wanted.device())
        .flatMap(host::groupOf)
        .map(g -> host.members(g.id()))
        .orElse(List.of())
        .stream()
        .filter(f -> !requested.contains(f.address().toString()))
        .filter(f -> !f.isBridge().orElse(false))
        .filter(Candidates::hostDriven)
        .toList();
  }

  /** Whether the host has it, or may have: a driver that is not known is taken for one of its. */
  private static boolean hostDriven(PciFunction function) {
    return switch (function.driver()) {
      case Fact.Known<String>(String name) -> DriverKind.of(name, false) == DriverKind.HOST;
      case Fact.None<String> _ -> false;
      case Fact.Unknown<String> _ -> true;
    };
  }

  private Set<String> requested() {
    return request.vms().stream()
        .flatMap(v -> v.devices().stream())
        .map(DeviceRequest::device)
        .collect(Collectors.toSet());
  }

  /** Another VM has the group: both devices belong to one VM, or one of them to none. */
  private List<Candidate> join(String vm, DeviceRequest wanted, DeviceRefusal refusal) {
    List<Candidate> found = new ArrayList<>();
    Optional<String> holder = refusal.holder().map(DeviceRefusal.HolderVm::vm);
    if (holder.isPresent() && holder.get().equals(vm)) {
      found.add(oneAddressSpace(vm));
    }
    holder
        .filter(h -> !h.equals(vm))
        .ifPresent(
            h -> {
              found.add(
                  changed(
                      "give %s to %s, which has the group".formatted(wanted, h),
                      request.with(vm, v -> v.without(wanted)).with(h, v -> v.plus(wanted))));
              List<String> theirs =
                  refusal.holder().map(DeviceRefusal.HolderVm::devices).orElse(List.of());
              found.add(
                  changed(
                      "take %s out of %s".formatted(String.join(" and ", theirs), h),
                      request.with(
                          h,
                          v ->
                              v.with(
                                  v.devices().stream()
                                      .filter(d -> !theirs.contains(d.device()))
                                      .toList()))));
            });
    return found;
  }

  private Candidate oneAddressSpace(String vm) {
    return changed(
        "set viommu: false for %s, so that its devices share one address space".formatted(vm),
        request.with(vm, v -> v.withViommu(false)));
  }

  /** The function is wanted both whole and wrapped. */
  private Candidate wrapNot(DeviceRequest wanted) {
    Request next = request;
    for (VmRequest vm : request.vms()) {
      List<DeviceRequest> left =
          vm.devices().stream()
              .filter(d -> d.mode() != Mode.WRAPPED || !d.sameDevice(wanted))
              .toList();
      next = next.with(vm.name(), v -> v.with(left));
    }
    return changed("ask for %s once: do not wrap it".formatted(wanted.device()), next);
  }

  private List<Candidate> isolateInterrupts() {
    IommuFacts f = host.iommu();
    return List.of(
        changed(
            "turn interrupt remapping on, in firmware or on the kernel's command line",
            withIommu(
                new IommuFacts(
                    Optional.of(true),
                    f.cacheCoherency(),
                    f.addressWidth(),
                    f.pageSizes(),
                    f.allowUnsafeInterrupts(),
                    f.dmaEntryLimit(),
                    f.rmrrs()))),
        changed(
            "load vfio_iommu_type1 with allow_unsafe_interrupts=1: every guest can then forge"
                + " interrupts",
            withIommu(
                new IommuFacts(
                    f.interruptRemapping(),
                    f.cacheCoherency(),
                    f.addressWidth(),
                    f.pageSizes(),
                    Optional.of(true),
                    f.dmaEntryLimit(),
                    f.rmrrs()))));
  }

  /** Locked memory: RAM once, or with an IOMMU in the guest once for each device. */
  private List<Candidate> moreLocked(String vm) {
    VmRequest asking = vm(vm);
    long ram = asking.memory().orElse(0L);
    long needed = asking.viommu() ? ram * asking.devices().size() : ram;
    long rounded = (needed + GIB - 1) / GIB * GIB;
    List<Candidate> found = new ArrayList<>();
    found.add(
        changed(
            "raise memlock of %s to %dGiB%s"
                .formatted(
                    vm,
                    rounded / GIB,
                    asking.viommu()
                        ? ": with viommu, RAM counts once for each of its %d devices"
                            .formatted(asking.devices().size())
                        : ""),
            request.with(vm, v -> v.withMemlock(rounded))));
    if (asking.viommu()) {
      found.add(oneAddressSpace(vm));
    }
    return found;
  }

  private Candidate moreEntries() {
    IommuFacts f = host.iommu();
    long limit = Math.max(65535, f.dmaEntryLimit().orElse(65535L));
    return changed(
        "load vfio_iommu_type1 with dma_entry_limit=" + limit,
        withIommu(
            new IommuFacts(
                f.interruptRemapping(),
                f.cacheCoherency(),
                f.addressWidth(),
                f.pageSizes(),
                f.allowUnsafeInterrupts(),
                Optional.of(limit),
                f.rmrrs())));
  }

  /** RAM that ends before what stands in its way, the most that works. */
  private List<Candidate> lessMemory(String vm) {
    long ram = vm(vm).memory().orElse(0L);
    Stream<Long> regions =
        host.groups().stream()
            .flatMap(g -> g.reservedRegions().orElse(List.of()).stream())
            .map(r -> r.start() < 4 * GIB ? r.start() : r.start() - 2 * GIB);
    int bits = host.iommu().addressWidth().orElse(48);
    Stream<Long> width = bits < 63 ? Stream.of((1L << bits) - 4 * GIB) : Stream.of();
    return Stream.concat(width, regions)
        .map(bytes -> bytes >= GIB ? bytes / GIB * GIB : bytes / MIB2 * MIB2)
        .filter(bytes -> bytes > 0 && bytes < ram)
        .distinct()
        .sorted(Comparator.reverseOrder())
        .limit(ALTERNATIVES)
        .map(
            bytes ->
                new Candidate(
                    "less memory",
                    "give %s at most %s of RAM"
                        .formatted(vm, bytes >= GIB ? bytes / GIB + "GiB" : (bytes >> 20) + "MiB"),
                    request.with(vm, v -> v.withMemory(bytes)),
                    host,
                    options))
        .toList();
  }

  private List<Candidate> releasePhysical(DeviceRequest wanted) {
    return host
        .function(PciAddress.parse(wanted.device()))
        .flatMap(f -> f.physicalFunction().value())
        .flatMap(host::function)
        .map(
            pf ->
                changed(
                    "unbind %s, its physical function, from vfio-pci".formatted(pf.address()),
                    withFunction(host, pf.toBuilder().driver(Fact.none()).build())))
        .stream()
        .toList();
  }

  private List<Candidate> removeVirtual(DeviceRequest wanted) {
    return PciAddress.tryParse(wanted.device())
        .flatMap(host::function)
        .filter(f -> f.numVfs().orElse(0) > 0)
        .filter(
            f ->
                host.virtualFunctions(f.address()).stream()
                    .noneMatch(v -> requested().contains(v.address().toString())))
        .map(
            f ->
                changed(
                    "switch the virtual functions of %s off (sriov_numvfs)".formatted(f.address()),
                    withFunction(host, f.toBuilder().numVfs(Optional.of(0)).build())))
        .stream()
        .toList();
  }

  /**
   * The host with the function in a group, of which nothing is known but that nobody else is in it;
   * where other functions are in groups, that is no way out.
   */
  private List<Candidate> grouped(DeviceRequest wanted, String text) {
    return PciAddress.tryParse(wanted.device())
        .flatMap(host::function)
        .filter(f -> host.functions().stream().noneMatch(o -> o.group().value().isPresent()))
        .map(f -> changed(text, withGroup(f)))
        .stream()
        .toList();
  }

  private HostTopology withGroup(PciFunction function) {
    int free =
        IntStream.concat(
                    host.groups().stream().mapToInt(HostGroup::id),
                    host.mdevs().stream().flatMapToInt(m -> m.group().stream().mapToInt(g -> g)))
                .max()
                .orElse(-1)
            + 1;
    HostGroup group =
        new HostGroup(
            free, List.of(function.address()), List.of(), Optional.empty(), Optional.empty());
    PciFunction member = function.toBuilder().group(Fact.known(free)).build();
    return new HostTopology(
        host.name(),
        host.origin(),
        host.kernel(),
        host.partial(),
        host.functions().stream().map(f -> f.equals(function) ? member : f).toList(),
        Stream.concat(host.groups().stream(), Stream.of(group)).toList(),
        host.mdevParents(),
        host.mdevs(),
        host.iommu(),
        host.roles());
  }

  /** Other functions of the same make that nobody asked for. */
  private List<Candidate> alternatives(String vm, DeviceRequest wanted) {
    Optional<PciFunction> own = PciAddress.tryParse(wanted.device()).flatMap(host::function);
    if (own.isEmpty() || own.get().id().isEmpty()) {
      return List.of();
    }
    Set<String> requested = requested();
    return host.functions().stream()
        .filter(f -> f.id().equals(own.get().id()) && f.group().value().isPresent())
        .filter(f -> f.physicalFunction().isNone() == own.get().physicalFunction().isNone())
        .filter(f -> !requested.contains(f.address().toString()))
        .filter(f -> host.rolesOf(f.address()).isEmpty())
        .limit(ALTERNATIVES)
        .map(
            f ->
                new Candidate(
                    "another",
                    "ask for %s instead, the same model in group %d"
                        .formatted(
                            wanted.of(f.address().toString()),
                            host.groupOf(f.address()).map(HostGroup::id).orElse(-1)),
                    request.with(
                        vm,
                        v ->
                            v.with(
                                v.devices().stream()
                                    .map(d -> d.equals(wanted) ? d.of(f.address().toString()) : d)
                                    .toList())),
                    host,
                    options))
        .toList();
  }

  private VmRequest vm(String name) {
    return request.vms().stream().filter(v -> v.name().equals(name)).findFirst().orElseThrow();
  }

  private HostTopology withIommu(IommuFacts facts) {
    return new HostTopology(
        host.name(),
        host.origin(),
        host.kernel(),
        host.partial(),
        host.functions(),
        host.groups(),
        host.mdevParents(),
        host.mdevs(),
        facts,
        host.roles());
  }

  private static HostTopology withFunction(HostTopology host, PciFunction changed) {
    return new HostTopology(
        host.name(),
        host.origin(),
        host.kernel(),
        host.partial(),
        host.functions().stream()
            .map(f -> f.address().equals(changed.address()) ? changed : f)
            .toList(),
        host.groups(),
        host.mdevParents(),
        host.mdevs(),
        host.iommu(),
        host.roles());
  }
}
