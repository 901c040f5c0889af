// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.error.VfioException;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.MdevOffers;
import org.vfio4j.host.MdevType;
import org.vfio4j.host.Origin;
import org.vfio4j.host.PciAddress;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.soft.SoftMachine;

/**
 * Mediated devices that are defined and not there: those that a VM asks for are started for it, and
 * those that start by themselves have their instances before.
 */
final class DefinedMdevs {
  private final HostTopology host;

  DefinedMdevs(HostTopology host) {
    this.host = host;
  }

  /**
   * What is started for this request: of several definitions of one UUID that whose parent offers
   * its type. Empty where the device is there, or is not defined.
   */
  Optional<MdevDefinition> of(DeviceRequest device) {
    return device.mode() == Mode.MDEV ? of(UUID.fromString(device.device())) : Optional.empty();
  }

  private Optional<MdevDefinition> of(UUID uuid) {
    if (host.mdev(uuid).isPresent()) {
      return Optional.empty();
    }
    List<MdevDefinition> all = host.mdevDefinitions(uuid);
    return all.stream().filter(this::isOffered).findFirst().or(() -> all.stream().findFirst());
  }

  /**
   * The function that is meant, wrapped, where a UUID is defined as that and means nothing else.
   */
  Optional<PciAddress> wrapped(DeviceRequest device) {
    return of(device)
        .filter(d -> meanings(d.uuid()).size() == 1)
        .flatMap(MdevDefinition::wrappedFunction);
  }

  /** All that a UUID names, each in words. */
  private Set<String> meanings(UUID uuid) {
    Set<String> meanings = new LinkedHashSet<>();
    for (MdevDefinition definition : host.mdevDefinitions(uuid)) {
      meanings.add(
          definition
              .wrappedFunction()
              .map(f -> "wrap " + f)
              .orElseGet(() -> "a %s on %s".formatted(definition.type(), definition.parent())));
    }
    host.mdev(uuid)
        .map(m -> "a %s on %s".formatted(m.type().orElse("device"), m.parent()))
        .ifPresent(meanings::add);
    return meanings;
  }

  /** A function is not put in the place of a device of the kernel that has the same name. */
  private Optional<String> ambiguous(UUID uuid) {
    Set<String> meanings = meanings(uuid);
    List<MdevDefinition> ours =
        host.mdevDefinitions(uuid).stream().filter(MdevDefinition::isOurs).toList();
    if (ours.isEmpty() || meanings.size() == 1) {
      return Optional.empty();
    }
    return Optional.of(
        "mdev %s is %s: give each a UUID of its own ('vfio undefine', 'vfio define'), or ask for the function itself"
            .formatted(uuid, String.join(" and ", meanings)));
  }

  /** The parent of a mediated device that is there or defined. */
  Optional<String> parent(DeviceRequest device) {
    return device.mode() == Mode.MDEV
        ? host.mdev(UUID.fromString(device.device()))
            .map(m -> m.parent())
            .or(() -> of(device).map(MdevDefinition::parent))
        : Optional.empty();
  }

  private Optional<MdevType> type(MdevDefinition definition) {
    return host.mdevParent(definition.parent()).map(MdevOffers::types).orElse(List.of()).stream()
        .filter(t -> t.id().equals(definition.type()))
        .findFirst();
  }

  private boolean isOffered(MdevDefinition definition) {
    return type(definition).isPresent();
  }

  /** Whether the source would show the types of a parent that has some. */
  private boolean tellsTypes() {
    return switch (host.origin()) {
      case Origin.SYSFS, Origin.UMOCKDEV, Origin.MANUAL -> true;
      case Origin.LSPCI, Origin.LISTING, Origin.DMESG -> false;
    };
  }

  /** Why a device that is defined cannot be started, before a kernel is asked. */
  Optional<DeviceRefusal> refusal(DeviceRequest device) {
    return (device.mode() == Mode.MDEV
            ? ambiguous(UUID.fromString(device.device()))
            : Optional.<String>empty())
        .or(() -> of(device).flatMap(this::lack))
        .map(DefinedMdevs::refusal);
  }

  private Optional<String> lack(MdevDefinition definition) {
    if (definition.isOurs() && definition.wrappedFunction().isEmpty()) {
      return Optional.of(
          "mdev %s is defined as %s on %s, which is no PCI function"
              .formatted(definition.uuid(), definition.type(), definition.parent()));
    }
    List<String> offering =
        host.mdevDefinitions(definition.uuid()).stream()
            .filter(this::isOffered)
            .map(MdevDefinition::parent)
            .toList();
    if (offering.size() > 1) {
      return Optional.of(
          "mdev %s is defined on %s, and the request does not say which is to start"
              .formatted(definition.uuid(), String.join(" and on ", offering)));
    }
    if (isOffered(definition) || !tellsTypes()) {
      return Optional.empty();
    }
    String types =
        host.mdevParent(definition.parent()).map(MdevOffers::types).orElse(List.of()).stream()
            .map(MdevType::id)
            .collect(Collectors.joining(", "));
    return Optional.of(
        "mdev %s is defined as %s on %s, which offers %s"
            .formatted(
                definition.uuid(),
                definition.type(),
                definition.parent(),
                types.isEmpty()
                    ? "no mediated devices now: its driver is not there, or has none for it"
                    : "no such type, only " + types));
  }

  private static DeviceRefusal refusal(String message) {
    return new DeviceRefusal(
        Optional.empty(),
        RefusalCode.Host.MDEV_NOT_OFFERED,
        "create",
        message,
        Optional.empty(),
        List.of());
  }

  /**
   * Starts what starts by itself and is not there yet. What has no instance, or is not offered,
   * does not start, as on the host.
   *
   * @param asked what VMs start themselves
   */
  void startByThemselves(SoftMachine machine, Request asked) {
    Set<UUID> wanted = asked(asked);
    for (MdevDefinition definition : host.mdevDefinitions()) {
      if (isWaiting(definition) && !wanted.contains(definition.uuid())) {
        try {
          machine.createMdev(definition.parent(), definition.type(), definition.uuid().toString());
        } catch (VfioException _) {
          // It does not start at the host's next boot either.
        }
      }
    }
  }

  /** Whether it is going to start by itself, and can. */
  private boolean isWaiting(MdevDefinition definition) {
    return definition.start() == MdevDefinition.Start.AUTO
        && host.mdev(definition.uuid()).isEmpty()
        && type(definition).flatMap(MdevType::availableInstances).isPresent();
  }

  private static Set<UUID> asked(Request request) {
    Set<UUID> asked = new HashSet<>();
    request.vms().stream()
        .flatMap(vm -> vm.devices().stream())
        .filter(d -> d.mode() == Mode.MDEV)
        .forEach(d -> asked.add(UUID.fromString(d.device())));
    return asked;
  }

  /**
   * Starts what is asked for, unless it is there.
   *
   * @return what has to be done on the host for it
   * @throws VfioException ENOSPC if the parent has no instance left
   */
  Optional<Step> start(SoftMachine machine, DeviceRequest device) {
    Optional<MdevDefinition> definition =
        of(device).filter(_ -> machine.device(device.device()).isEmpty());
    definition.ifPresent(d -> start(machine, d));
    return definition.map(d -> new Step.StartMdev(d.parent(), d.type(), d.uuid()));
  }

  private void start(SoftMachine machine, MdevDefinition definition) {
    Optional<MdevType> type = type(definition);
    if (type.flatMap(MdevType::availableInstances).isEmpty()) {
      HostMachine.ensure(machine, definition.parent());
      MdevParent.Kind kind =
          HostMachine.kind(host.mdevParent(definition.parent()).flatMap(MdevOffers::isolation));
      // The source does not count: the definition is taken at its word.
      machine.offer(
          definition.parent(), new MdevParent.Type(definition.type(), kind, Short.MAX_VALUE));
    }
    machine.createMdev(definition.parent(), definition.type(), definition.uuid().toString());
  }

  /** What is taken for granted of a device that is started. */
  List<Assumption> assumed(DeviceRequest device) {
    Optional<MdevDefinition> definition = of(device);
    List<Assumption> assumed = new ArrayList<>();
    if (definition.isEmpty() || lack(definition.get()).isPresent()) {
      return assumed;
    }
    MdevDefinition d = definition.get();
    Optional<MdevType> type = type(d);
    if (type.isEmpty()) {
      assumed.add(new Assumption(d.parent(), "whether it offers " + d.type(), "offered"));
    }
    if (type.flatMap(MdevType::availableInstances).isEmpty()) {
      assumed.add(
          new Assumption(d.parent(), "how many instances of " + d.type() + " are left", "enough"));
    }
    return assumed;
  }

  /** What may help where no instance is left, or the type is not offered. */
  List<Fix> candidates(DeviceRequest device, Request request) {
    Optional<MdevDefinition> definition = of(device);
    List<Fix> found = new ArrayList<>();
    if (definition.filter(d -> !d.isOurs()).isEmpty()) {
      return found;
    }
    Set<UUID> wanted = asked(request);
    host.mdevDefinitions().stream()
        .filter(d -> d.parent().equals(definition.get().parent()))
        .filter(d -> d.type().equals(definition.get().type()))
        .filter(d -> isWaiting(d) && !wanted.contains(d.uuid()))
        .map(Fix.StartManually::new)
        .forEach(found::add);
    host.mdevParent(definition.get().parent()).map(MdevOffers::types).orElse(List.of()).stream()
        .filter(t -> !t.id().equals(definition.get().type()))
        .filter(t -> t.availableInstances().orElse(0) > 0)
        .map(t -> new Fix.DefineAs(definition.get(), t.id()))
        .forEach(found::add);
    return found;
  }
}
