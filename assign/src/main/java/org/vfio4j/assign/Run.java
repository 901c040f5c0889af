// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Stream;
import org.vfio4j.assign.DeviceVerdict.Outcome;
import org.vfio4j.error.VfioException;
import org.vfio4j.host.HostTopology;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.type1.Container;

/** One run of a request on the engine, step by step: what each VM's QEMU would do, VM by VM. */
final class Run {
  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final Set<DeviceRequest> bound;
  private final Progress progress;
  private final SoftMachine machine;
  private final DefinedMdevs defined;
  private final Map<String, Guest> guests = new LinkedHashMap<>();
  private final Map<String, List<DeviceAttempt>> attempts = new LinkedHashMap<>();

  /** Those that a container has, in the order of the request. */
  private final Map<Container, List<DeviceAttempt>> attached = new HashMap<>();

  /** Names of mediated devices that were made here, and what they stand for. */
  private final Map<String, String> madeOf = new HashMap<>();

  Run(Request request, HostTopology host, Options options) {
    this(request, host, options, Set.of(), Progress.NONE);
  }

  /**
   * One of a part of a request.
   *
   * @param bound devices that other VMs ask for: they are bound as well, and nobody opens them
   */
  Run(
      Request request,
      HostTopology host,
      Options options,
      Set<DeviceRequest> bound,
      Progress progress) {
    this.bound = bound;
    this.progress = progress;
    this.request = request;
    this.host = host;
    this.options = options;
    this.defined = new DefinedMdevs(host);
    this.machine = HostMachine.of(host, options.kernelFor(host).profile());
  }

  /** Runs it; every device of every VM is tried, whatever happened to those before. */
  List<VmVerdict> verdicts() {
    for (VmRequest vm : request.vms()) {
      attempts.put(vm.name(), vm.devices().stream().map(d -> attempt(vm, d)).toList());
    }
    request.running().forEach(this::run);
    new Preparation(request, host, options, machine)
        .prepare(
            Stream.concat(
                    attempts.values().stream().flatMap(List::stream),
                    bound.stream().map(d -> new DeviceAttempt("", d)))
                .toList());
    defined.startByThemselves(machine, request);
    Tokens.of(request, host).forEach((pf, token) -> machine.vfToken(pf.toString(), token));
    int done = 0;
    for (VmRequest vm : request.vms()) {
      progress.at("checking", done++, request.vms().size());
      Guest guest = guests.computeIfAbsent(vm.name(), name -> new Guest(vm, machine));
      for (DeviceAttempt attempt : attempts(vm)) {
        if (attempt.refusal.isEmpty()) {
          attach(guest, attempt);
        }
      }
    }
    List<VmVerdict> verdicts = request.vms().stream().map(this::verdict).toList();
    guests.values().forEach(Guest::close);
    return verdicts;
  }

  private DeviceAttempt attempt(VmRequest vm, DeviceRequest wanted) {
    DeviceAttempt attempt = new DeviceAttempt(vm.name(), wanted);
    Absent.refusal(request, host, vm, wanted).ifPresent(attempt::refuse);
    return attempt;
  }

  private List<DeviceAttempt> attempts(VmRequest vm) {
    return attempts.getOrDefault(vm.name(), List.of());
  }

  /** A VM that runs has what it has before anybody asks for more; one that is asked for goes on. */
  private void run(RunningVm vm) {
    VmRequest asked =
        request
            .vm(vm.name())
            .orElseGet(() -> VmRequest.of("running-" + guests.size()))
            .withViommu(vm.viommu());
    Guest guest = new Guest(asked, vm.name(), machine);
    guests.put(vm.name(), guest);
    for (int group : vm.allGroups(host)) {
      List<String> devices = vm.devicesIn(host, group);
      for (String device : vm.viommu() ? devices.subList(0, 1) : devices) {
        guest.attach(device);
      }
    }
  }

  private void attach(Guest guest, DeviceAttempt attempt) {
    try {
      String name = made(attempt);
      attempt.device = machine.device(name);
      Container container = guest.attach(name, attempt.wanted.token());
      attempt.container = Optional.of(container);
      attached.computeIfAbsent(container, k -> new ArrayList<>()).add(attempt);
    } catch (VfioException refused) {
      attempt.refuse(refusal(attempt, refused));
    }
  }

  /** The device's own name; makes the mediated device if there is one to make. */
  private String made(DeviceAttempt attempt) {
    DeviceRequest wanted = attempt.wanted;
    if (wanted.mode() == Mode.WHOLE || wanted.mode() == Mode.MDEV) {
      defined.start(machine, wanted).ifPresent(attempt.steps::add);
      return wanted.device();
    }
    MediatedDevice mdev = Preparation.create(machine, wanted, madeOf.size());
    madeOf.put(mdev.name(), wanted.device());
    attempt.steps.add(new Step.CreateMdev(wanted.device(), mdev.type()));
    return mdev.name();
  }

  private DeviceRefusal refusal(DeviceAttempt attempt, VfioException refused) {
    Optional<DeviceRefusal.HolderVm> holder =
        refused
            .refusal()
            .holder()
            .map(h -> h.name().replaceFirst("#[0-9]+$", ""))
            .map(vm -> holder(vm, attempt));
    return new DeviceRefusal(
        Optional.of(refused.errno()),
        new RefusalCode.Engine(refused.reason()),
        refused.refusal().call().isEmpty() ? "create" : refused.refusal().call(),
        sentence(attempt.vm, attempt.wanted, refused),
        holder,
        List.of());
  }

  /** The engine speaks of groups; a reader wants names, and what QEMU would say. */
  private String sentence(String vm, DeviceRequest wanted, VfioException refused) {
    String message = refused.refusal().message();
    return switch (refused.reason()) {
      case GROUP_NOT_VIABLE ->
          backing(wanted).map(this::blockers).orElse(message) + " (QEMU: \"group is not viable\")";
      case LOCKED_MEMORY -> locked(vm).orElse(message);
      case MULTIPLE_ADDRESS_SPACES -> message + " (QEMU: \"used in multiple address spaces\")";
      default -> message;
    };
  }

  private Optional<String> locked(String name) {
    return request
        .vm(name)
        .filter(vm -> vm.memory().isPresent() && vm.memlock().isPresent())
        .map(
            vm ->
                "%s may lock %s, and QEMU locks %s of RAM and %s of firmware and video memory%s"
                    .formatted(
                        name,
                        Sizes.of(vm.memlock().orElseThrow()),
                        Sizes.of(vm.memory().orElseThrow()),
                        Sizes.of(GuestMemory.BESIDE_RAM),
                        vm.viommu() ? ", once for each device" : ""));
  }

  private String blockers(IommuGroup group) {
    List<String> blockers =
        machine.hostDriven(group).stream()
            .map(f -> f.name() + " on " + machine.driver(f.name()).orElse(""))
            .map(
                text ->
                    text.replaceFirst(
                        " on " + HostMachine.UNKNOWN_DRIVER + "$",
                        " on a driver that is not known"))
            .toList();
    return "IOMMU group %d is used by the host: %s"
        .formatted(group.id(), String.join(", ", blockers));
  }

  /** The VM that stands in the way, and what it has of the group that backs the wanted device. */
  private DeviceRefusal.HolderVm holder(String vm, DeviceAttempt attempt) {
    Optional<IommuGroup> group = backing(attempt.wanted);
    Optional<RunningVm> running =
        request.running().stream().filter(r -> r.name().equals(vm)).findFirst();
    List<String> held = new ArrayList<>();
    running.ifPresent(
        r ->
            group
                .filter(g -> r.allGroups(host).contains(g.id()))
                .ifPresent(g -> held.addAll(r.devicesIn(host, g.id()))));
    for (DeviceAttempt other : attempts.getOrDefault(vm, List.of())) {
      if (other != attempt && other.container.isPresent() && backing(other.wanted).equals(group)) {
        held.add(other.wanted.device());
      }
    }
    return new DeviceRefusal.HolderVm(
        vm,
        held.stream().distinct().toList(),
        running.isPresent(),
        running.map(RunningVm::pid).orElse(OptionalLong.empty()));
  }

  private VmVerdict verdict(VmRequest vm) {
    Guest guest = Objects.requireNonNull(guests.get(vm.name()));
    return new VmVerdict(
        vm.name(), guest.lockedBytes(), attempts(vm).stream().map(this::verdict).toList());
  }

  private DeviceVerdict verdict(DeviceAttempt attempt) {
    DeviceRequest device = attempt.wanted;
    Optional<IommuGroup> group =
        attempt
            .device
            .flatMap(d -> machine.groupOf(d.name()))
            .or(() -> machine.groupOf(device.device()));
    Optional<IommuGroup> backing = backing(device);
    OptionalInt domain = OptionalInt.empty();
    OptionalInt users = OptionalInt.empty();
    if (attempt.container.isPresent()) {
      Container container = attempt.container.get();
      int index = container.domainIndex(group.orElseThrow());
      if (index >= 0) {
        domain = OptionalInt.of(container.domains() - index);
      }
      if (backing.isPresent()) {
        users = OptionalInt.of(container.useCount(backing.get()));
      }
    }
    return new DeviceVerdict(
        device,
        group.map(g -> OptionalInt.of(g.id())).orElse(OptionalInt.empty()),
        backing.map(g -> OptionalInt.of(g.id())).orElse(OptionalInt.empty()),
        attempt.container.map(Container::name),
        domain,
        users,
        sharing(attempt, backing),
        outcome(attempt),
        attempt.refusal,
        attempt.steps);
  }

  private static Outcome outcome(DeviceAttempt attempt) {
    return attempt
        .refusal
        .map(r -> Absent.isBadInput(r.code()) ? Outcome.BAD_INPUT : Outcome.REFUSED)
        .orElse(Outcome.ATTACHED);
  }

  private List<String> sharing(DeviceAttempt attempt, Optional<IommuGroup> backing) {
    return attempt.container.map(attached::get).orElse(List.of()).stream()
        .filter(a -> a != attempt)
        .filter(a -> backing.isPresent() && backing(a.wanted).equals(backing))
        .map(a -> a.wanted.device())
        .toList();
  }

  /** The IOMMU group whose hardware the device moves; none for plain and aux ones. */
  private Optional<IommuGroup> backing(DeviceRequest device) {
    return switch (device.mode()) {
      case WHOLE, WRAPPED -> machine.groupOf(device.device());
      case AUX, EMULATED -> Optional.empty();
      case MDEV ->
          machine
              .device(device.device())
              .flatMap(
                  d ->
                      d instanceof MediatedDevice m && m.isolation() instanceof Isolation.Backed b
                          ? machine.groupOf(b.function().name())
                          : Optional.empty());
    };
  }
}
