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
import org.vfio4j.assign.DeviceVerdict.Outcome;
import org.vfio4j.error.VfioException;
import org.vfio4j.host.HostTopology;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.type1.Container;
import org.vfio4j.vfio.SoftMachine;

/** One run of a request on the engine, step by step: what each VM's QEMU would do, VM by VM. */
final class Run {
  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final SoftMachine machine;
  private final Map<String, Guest> guests = new LinkedHashMap<>();
  private final Map<DeviceRequest, Attempt> attempts = new LinkedHashMap<>();

  /** Names of mediated devices that were made here, and what they stand for. */
  private final Map<String, String> madeOf = new HashMap<>();

  /** What one requested device has come to so far. */
  private static final class Attempt {
    final String vm;
    final List<String> steps = new ArrayList<>();
    Optional<Device> device = Optional.empty();
    Optional<Container> container = Optional.empty();
    Optional<DeviceRefusal> refusal = Optional.empty();

    Attempt(String vm) {
      this.vm = vm;
    }
  }

  Run(Request request, HostTopology host, Options options) {
    this.request = request;
    this.host = host;
    this.options = options;
    this.machine = HostMachine.of(host, options.profile());
  }

  /** Runs it; every device of every VM is tried, whatever happened to those before. */
  List<VmVerdict> verdicts() {
    for (VmRequest vm : request.vms()) {
      vm.devices().forEach(d -> attempts.put(d, new Attempt(vm.name())));
    }
    new Preparation(host, options, machine).prepare(request, this::prepared, this::refuse);
    for (VmRequest vm : request.vms()) {
      Guest guest = new Guest(vm, machine);
      guests.put(vm.name(), guest);
      for (DeviceRequest device : vm.devices()) {
        if (attempt(device).refusal.isEmpty()) {
          attach(guest, device);
        }
      }
    }
    List<VmVerdict> verdicts = request.vms().stream().map(this::verdict).toList();
    guests.values().forEach(Guest::close);
    return verdicts;
  }

  private Attempt attempt(DeviceRequest device) {
    return Objects.requireNonNull(attempts.get(device));
  }

  private void prepared(DeviceRequest device, String step) {
    attempt(device).steps.add(step);
  }

  private void refuse(DeviceRequest device, DeviceRefusal refusal) {
    attempt(device).refusal = Optional.of(refusal);
  }

  private void attach(Guest guest, DeviceRequest wanted) {
    Attempt attempt = attempt(wanted);
    try {
      String name = made(wanted, attempt);
      attempt.device = machine.device(name);
      attempt.container = Optional.of(guest.attach(name));
    } catch (VfioException refused) {
      attempt.refusal = Optional.of(refusal(wanted, refused));
    }
  }

  /** The device's own name; makes the mediated device if there is one to make. */
  private String made(DeviceRequest wanted, Attempt attempt) {
    if (wanted.mode() == Mode.WHOLE || wanted.mode() == Mode.MDEV) {
      return wanted.device();
    }
    MediatedDevice mdev = Preparation.create(machine, wanted, madeOf.size());
    madeOf.put(mdev.name(), wanted.device());
    attempt.steps.add("create an mdev of type %s on %s".formatted(mdev.type(), wanted.device()));
    return mdev.name();
  }

  private DeviceRefusal refusal(DeviceRequest wanted, VfioException refused) {
    Optional<DeviceRefusal.HolderVm> holder =
        refused
            .refusal()
            .holder()
            .map(h -> h.name().replaceFirst("#[0-9]+$", ""))
            .map(vm -> new DeviceRefusal.HolderVm(vm, heldBy(vm, wanted)));
    return new DeviceRefusal(
        Optional.of(refused.errno()),
        refused.reason().name(),
        refused.refusal().call().isEmpty() ? "create" : refused.refusal().call(),
        sentence(wanted, refused),
        holder,
        List.of());
  }

  /** The engine speaks of groups; a reader wants names, and what QEMU would say. */
  private String sentence(DeviceRequest wanted, VfioException refused) {
    String message = refused.refusal().message();
    return switch (refused.reason()) {
      case GROUP_NOT_VIABLE ->
          backing(wanted).map(this::blockers).orElse(message) + " (QEMU: \"group is not viable\")";
      case MULTIPLE_ADDRESS_SPACES -> message + " (QEMU: \"used in multiple address spaces\")";
      default -> message;
    };
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

  /** What the VM has, or at least asks for, of the group that backs the wanted device. */
  private List<String> heldBy(String vm, DeviceRequest wanted) {
    Optional<IommuGroup> group = backing(wanted);
    List<String> held = new ArrayList<>();
    attempts.forEach(
        (device, attempt) -> {
          boolean same = attempt.vm.equals(vm) && !device.equals(wanted);
          if (same && attempt.container.isPresent() && backing(device).equals(group)) {
            held.add(device.device());
          }
        });
    return held;
  }

  private VmVerdict verdict(VmRequest vm) {
    Guest guest = Objects.requireNonNull(guests.get(vm.name()));
    return new VmVerdict(
        vm.name(), guest.lockedBytes(), vm.devices().stream().map(this::verdict).toList());
  }

  private DeviceVerdict verdict(DeviceRequest device) {
    Attempt attempt = attempt(device);
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
        sharing(device, attempt, backing),
        attempt.refusal.isPresent() ? Outcome.REFUSED : Outcome.ATTACHED,
        attempt.refusal,
        attempt.steps);
  }

  private List<String> sharing(
      DeviceRequest device, Attempt attempt, Optional<IommuGroup> backing) {
    List<String> others = new ArrayList<>();
    attempts.forEach(
        (other, its) -> {
          boolean together =
              attempt.container.isPresent() && its.container.equals(attempt.container);
          if (together
              && !other.equals(device)
              && backing.isPresent()
              && backing(other).equals(backing)) {
            others.add(other.device());
          }
        });
    return others;
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
