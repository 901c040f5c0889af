// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.host.Vgpu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.vfio.DriverKind;

/** What has to be done on the host before the VMs start: drivers bound, nothing vital taken. */
final class Preparation {
  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final SoftMachine machine;

  Preparation(Request request, HostTopology host, Options options, SoftMachine machine) {
    this.request = request;
    this.host = host;
    this.options = options;
    this.machine = machine;
  }

  /** Binds every requested function, all VMs together, so that VMs do not depend on their order. */
  void prepare(List<DeviceAttempt> all) {
    List<DeviceAttempt> attempts =
        all.stream().filter(a -> machine.device(a.wanted.device()).isPresent()).toList();
    Map<String, String> drivers = new LinkedHashMap<>();
    Map<String, Optional<DeviceRefusal>> tried = new LinkedHashMap<>();
    for (DeviceAttempt attempt : attempts) {
      DeviceRequest d = attempt.wanted;
      if (d.mode() == Mode.WRAPPED) {
        drivers.put(d.device(), SoftMachine.WRAPPING_DRIVER);
      } else if (d.mode() == Mode.WHOLE) {
        drivers.putIfAbsent(d.device(), DriverKind.VFIO_PCI);
      }
    }
    for (DeviceAttempt attempt : attempts) {
      DeviceRequest d = attempt.wanted;
      String driver = drivers.get(d.device());
      if (driver == null || !d.oncePerVm()) {
        continue;
      }
      Optional<String> before = machine.driver(d.device());
      boolean first = !tried.containsKey(d.device());
      Optional<DeviceRefusal> refusal =
          tried.computeIfAbsent(d.device(), name -> take(name, driver, all));
      refusal.ifPresent(attempt::refuse);
      if (refusal.isEmpty() && first && !serves(before, driver)) {
        attempt.steps.add(bindStep(d.device(), driver, before));
        List<UUID> lost = mdevsOf(d.device()).map(Mdev::uuid).toList();
        if (!lost.isEmpty()) {
          attempt.steps.add(new Step.LoseMdevs(d.device(), before, lost));
        }
      }
      if (refusal.isEmpty() && d.mode() == Mode.WHOLE) {
        chooseVgpu(attempt);
      }
    }
  }

  /** A virtual function that its vendor's driver offers has to be of a type before. */
  private void chooseVgpu(DeviceAttempt attempt) {
    PciFunction function = host.function(PciAddress.parse(attempt.wanted.device())).orElseThrow();
    Optional<Vgpu> vgpu =
        function.vgpu().filter(v -> function.offeredByVendor() && v.current().isNone());
    if (vgpu.isEmpty()) {
      return;
    }
    if (vgpu.get().creatable().filter(List::isEmpty).isPresent()) {
      ours(
              RefusalCode.Host.VGPU_NO_TYPE,
              ("%s has no vGPU type, and none can be made of it now: its GPU%s has no room left, or"
                      + " only for types of another size")
                  .formatted(
                      function.address(),
                      function.physicalFunction().value().map(p -> " " + p).orElse("")))
          .ifPresent(attempt::refuse);
      return;
    }
    attempt.steps.add(
        new Step.ChooseVgpu(function.address(), vgpu.get().creatable().orElse(List.of())));
  }

  /** Whether the driver that is there does: a variant of vfio-pci offers the function as well. */
  private static boolean serves(Optional<String> now, String wanted) {
    return now.filter(d -> d.equals(wanted) || bothOffer(d, wanted)).isPresent();
  }

  private static boolean bothOffer(String one, String other) {
    return DriverKind.offers(one) && DriverKind.offers(other);
  }

  private Step bindStep(String device, String driver, Optional<String> had) {
    boolean known = had.filter(HostMachine.UNKNOWN_DRIVER::equals).isEmpty();
    Optional<String> before =
        had.filter(HostMachine.VENDORS_DRIVER::equals).isPresent()
            ? host.function(PciAddress.parse(device)).flatMap(f -> f.driver().value())
            : had;
    return new Step.Bind(device, driver, before.filter(d -> known), known);
  }

  private Stream<Mdev> mdevsOf(String parent) {
    return host.mdevs().stream().filter(m -> m.parent().equals(parent));
  }

  /** Somebody has, or asks for, what the function's driver has made and would take with it. */
  private Optional<DeviceRefusal> inUse(
      String name, Optional<String> driver, List<DeviceAttempt> attempts) {
    Optional<DeviceRefusal> defined = definedInUse(name, driver, attempts);
    if (defined.isPresent()) {
      return defined;
    }
    for (Mdev mdev : (Iterable<Mdev>) mdevsOf(name)::iterator) {
      String uuid = mdev.uuid().toString();
      Optional<DeviceRefusal.HolderVm> holder =
          request.running().stream()
              .filter(r -> r.devices().contains(uuid) || holds(r, mdev))
              .findFirst()
              .map(r -> new DeviceRefusal.HolderVm(r.name(), List.of(uuid), true, r.pid()))
              .or(
                  () ->
                      attempts.stream()
                          .filter(a -> a.wanted.device().equals(uuid))
                          .findFirst()
                          .map(a -> new DeviceRefusal.HolderVm(a.vm, List.of(uuid))));
      if (holder.isPresent()) {
        return Optional.of(
            new DeviceRefusal(
                Optional.empty(),
                RefusalCode.Host.MDEV_IN_USE,
                "bind",
                "mdev %s goes when %s, which has made it, leaves %s"
                    .formatted(uuid, driver.orElse("the driver"), name),
                holder,
                List.of()));
      }
    }
    return Optional.empty();
  }

  /** Nor can somebody have started what the driver would make. */
  private Optional<DeviceRefusal> definedInUse(
      String name, Optional<String> driver, List<DeviceAttempt> attempts) {
    return attempts.stream()
        .filter(
            a ->
                new DefinedMdevs(host)
                    .of(a.wanted)
                    .filter(d -> d.parent().equals(name))
                    .isPresent())
        .findFirst()
        .map(
            a ->
                new DeviceRefusal(
                    Optional.empty(),
                    RefusalCode.Host.MDEV_IN_USE,
                    "bind",
                    "mdev %s cannot be started when %s, which makes it, leaves %s"
                        .formatted(a.wanted.device(), driver.orElse("the driver"), name),
                    Optional.of(new DeviceRefusal.HolderVm(a.vm, List.of(a.wanted.device()))),
                    List.of()));
  }

  private static boolean holds(RunningVm running, Mdev mdev) {
    return mdev.group().filter(running.groups()::contains).isPresent();
  }

  private Optional<DeviceRefusal> take(String name, String driver, List<DeviceAttempt> attempts) {
    Optional<DeviceRefusal> vital = vital(name).or(() -> ungrouped(name));
    if (vital.isPresent() || serves(machine.driver(name), driver)) {
      return vital;
    }
    Optional<DeviceRefusal> inUse = inUse(name, machine.driver(name), attempts);
    if (inUse.isPresent()) {
      return inUse;
    }
    try {
      machine.bind(name, driver);
      return Optional.empty();
    } catch (VfioException refusal) {
      return Optional.of(
          new DeviceRefusal(
              Optional.of(refusal.errno()),
              new RefusalCode.Engine(refusal.reason()),
              "bind",
              refusal.refusal().message() + besideVirtual(name),
              Optional.empty(),
              List.of()));
    }
  }

  /** Virtual functions that are in the group of their physical one keep it from being viable. */
  private String besideVirtual(String name) {
    PciAddress address = PciAddress.parse(name);
    Optional<Integer> group = host.groupOf(address).map(g -> g.id());
    List<String> there =
        host.virtualFunctions(address).stream()
            .filter(v -> group.isPresent() && v.group().value().equals(group))
            .flatMap(
                v ->
                    v.driver().value().stream()
                        .filter(d -> DriverKind.of(d, false) == DriverKind.HOST)
                        .map(d -> v.address() + " on " + d))
            .toList();
    return there.isEmpty()
        ? ""
        : "; they are in its group, which with %s is not viable either (EPERM)"
            .formatted(String.join(" and ", there));
  }

  private Optional<DeviceRefusal> vital(String name) {
    PciAddress address = PciAddress.parse(name);
    Set<Role> roles = host.rolesOf(address);
    if (options.forced().contains(name) || roles.isEmpty()) {
      return Optional.empty();
    }
    Role role = roles.iterator().next();
    String what =
        switch (role) {
          case BOOT_DISK -> " carries the disk that the host runs from";
          case MANAGEMENT_NETWORK -> " carries the host's management network";
          case CONSOLE -> " is the host's console";
          case STORAGE -> " carries a disk that the host uses";
          case NETWORK -> " carries a network that the host uses";
        };
    return ours(RefusalCode.Host.of(role), name + what + because(address));
  }

  private String because(PciAddress function) {
    List<String> uses = host.roles().because(function);
    return uses.isEmpty() ? "" : ": " + String.join(", ", uses);
  }

  private Optional<DeviceRefusal> ungrouped(String name) {
    PciFunction function = host.function(PciAddress.parse(name)).orElseThrow();
    if (function.group().isUnknown()) {
      return ours(
          RefusalCode.Host.GROUP_UNKNOWN,
          "the source does not say in which IOMMU group %s is%s"
              .formatted(name, companions(function)));
    }
    return function.group().isNone()
        ? ours(
            RefusalCode.Host.NO_IOMMU_GROUP,
            "%s is in no IOMMU group: %s".formatted(name, whyUngrouped()))
        : Optional.empty();
  }

  /** What is mostly in the same group: other functions of the card, where the host has them. */
  private String companions(PciFunction function) {
    PciAddress at = function.address();
    List<String> others =
        host.functions().stream()
            .filter(f -> !f.address().equals(at))
            .filter(
                f ->
                    f.address().domain() == at.domain()
                        && f.address().bus() == at.bus()
                        && f.address().device() == at.device())
            .filter(f -> !f.isBridge().orElse(false))
            .flatMap(
                f ->
                    f.driver().value().stream()
                        .filter(d -> DriverKind.of(d, false) == DriverKind.HOST)
                        .map(d -> f.address() + " is on " + d))
            .toList();
    return others.isEmpty()
        ? ""
        : "; %s: functions of one card are mostly in one group, which is not viable then"
            .formatted(String.join(" and ", others));
  }

  private String whyUngrouped() {
    if (host.functions().stream().anyMatch(f -> f.group().value().isPresent())) {
      return "the host's IOMMU is on, as others are in groups, but does not serve it";
    }
    return host.partial()
        ? "the host's IOMMU is off, or does not serve it"
        : "the host's IOMMU is off, as no function is in one";
  }

  private static Optional<DeviceRefusal> ours(RefusalCode code, String message) {
    return Optional.of(
        new DeviceRefusal(Optional.empty(), code, "bind", message, Optional.empty(), List.of()));
  }

  /**
   * Makes the mediated device that is asked for.
   *
   * @param number distinguishes devices of one parent
   * @throws VfioException ENOSPC if the parent has no instance left, ENODEV if it offers no such
   *     type
   */
  static MediatedDevice create(SoftMachine machine, DeviceRequest wanted, int number) {
    String uuid =
        UUID.nameUUIDFromBytes((wanted.device() + "/" + number).getBytes(StandardCharsets.UTF_8))
            .toString();
    MdevParent.Kind kind =
        switch (wanted.mode()) {
          case WRAPPED -> MdevParent.Kind.BACKED;
          case AUX -> MdevParent.Kind.AUX;
          default -> MdevParent.Kind.PLAIN;
        };
    return machine.createMdev(wanted.device(), type(machine, wanted, kind), uuid);
  }

  /** The type asked for, or the first of the kind with an instance left, or the first at all. */
  private static String type(SoftMachine machine, DeviceRequest wanted, MdevParent.Kind kind) {
    if (machine.parent(wanted.device()).isEmpty() && kind != MdevParent.Kind.BACKED) {
      // The source names no types: the parent's driver is taken at the request's word.
      String name = wanted.type().orElse(kind == MdevParent.Kind.AUX ? "aux" : "plain");
      machine.offer(wanted.device(), new MdevParent.Type(name, kind, Short.MAX_VALUE));
      return name;
    }
    if (wanted.type().isPresent()) {
      return wanted.type().get();
    }
    MdevParent parent = machine.parent(wanted.device()).orElseThrow(() -> noType(wanted));
    List<MdevParent.Type> ofKind = parent.types().stream().filter(t -> t.kind() == kind).toList();
    return ofKind.stream()
        .filter(t -> parent.available(t.name()) > 0)
        .findFirst()
        .or(() -> ofKind.stream().findFirst())
        .orElseThrow(() -> noType(wanted))
        .name();
  }

  private static VfioException noType(DeviceRequest wanted) {
    return new VfioException(
        Errno.ENODEV,
        Reason.NOT_SUPPORTED,
        "%s offers no mediated devices of that kind".formatted(wanted.device()),
        wanted.device());
  }
}
