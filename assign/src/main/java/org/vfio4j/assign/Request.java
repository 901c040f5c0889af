// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.input.BadInputException;

/**
 * Which VM gets which devices of a host.
 *
 * @param source the file, as the user named it; or who asks
 * @param host the host it is about: a path relative to the file, with {@code #name} after it where
 *     the file holds several; or {@code linux}, this machine. Who has the host as a value already
 *     may leave it empty.
 * @param vms in the order they start
 * @param running what runs on the host already
 * @param drivers functions that have another driver than the host's source says, by address; none
 *     where they have been unbound
 * @param leftOut what the request's text asks for and does not say, and so is no part of it
 */
public record Request(
    String source,
    String host,
    List<VmRequest> vms,
    List<RunningVm> running,
    Map<PciAddress, Optional<String>> drivers,
    List<Assumption> leftOut) {

  /**
   * Copies the lists.
   *
   * @throws IllegalArgumentException if two VMs, or two that run, have one name
   */
  public Request {
    vms = List.copyOf(vms);
    running = List.copyOf(running);
    drivers = Map.copyOf(drivers);
    leftOut = List.copyOf(leftOut);
    checkOnce(vms.stream().map(VmRequest::name).toList());
    checkOnce(running.stream().map(RunningVm::name).toList());
  }

  private static void checkOnce(List<String> names) {
    Set<String> seen = new HashSet<>();
    for (String name : names) {
      if (!seen.add(name)) {
        throw new IllegalArgumentException("two VMs have the name " + name);
      }
    }
  }

  /** A request on a host where nothing runs. */
  public Request(String source, String host, List<VmRequest> vms) {
    this(source, host, vms, List.of(), Map.of(), List.of());
  }

  /** A request from values, on a host that the caller has as a value, where nothing runs. */
  public static Request of(VmRequest... vms) {
    return new Request("request", "", List.of(vms));
  }

  /** The same beside what runs on the host already. */
  public Request beside(List<RunningVm> other) {
    return new Request(source, host, vms, other, drivers, leftOut);
  }

  /** The same with what its text does not say. */
  public Request leavingOut(List<Assumption> other) {
    return new Request(source, host, vms, running, drivers, other);
  }

  /** The same with functions that have other drivers than the host's source says. */
  public Request withDrivers(Map<PciAddress, Optional<String>> other) {
    return new Request(source, host, vms, running, other, leftOut);
  }

  /**
   * The host with the drivers that the request says.
   *
   * @throws BadInputException if it has no such function
   */
  HostTopology bound(HostTopology topology) {
    HostTopology bound = topology;
    for (Map.Entry<PciAddress, Optional<String>> each : drivers.entrySet()) {
      PciFunction function =
          topology
              .function(each.getKey())
              .orElseThrow(
                  () ->
                      new BadInputException(
                          source,
                          0,
                          "drivers." + each.getKey(),
                          "host %s has no device %s".formatted(topology.name(), each.getKey())));
      Fact<String> driver = each.getValue().map(Fact::known).orElse(Fact.none());
      bound = bound.with(function.toBuilder().driver(driver).build());
    }
    return bound;
  }

  /**
   * The same with the functions themselves, wrapped, where a VM asks by UUID for what is defined as
   * such ({@link MdevDefinition#WRAPPED}).
   *
   * @throws BadInputException if a VM asks for a function twice then
   */
  public Request unwrapped(HostTopology topology) {
    return wrapping(wrapped(topology));
  }

  /** The functions for which VMs ask by a UUID that is defined as one of them, wrapped. */
  public Map<UUID, PciAddress> wrapped(HostTopology topology) {
    DefinedMdevs defined = new DefinedMdevs(topology);
    Map<UUID, PciAddress> wrapped = new HashMap<>();
    for (VmRequest vm : vms) {
      for (DeviceRequest device : vm.devices()) {
        defined.wrapped(device).ifPresent(f -> wrapped.put(UUID.fromString(device.device()), f));
      }
    }
    return wrapped;
  }

  /**
   * The same with these functions, wrapped, in the place of their UUIDs, whatever is defined.
   *
   * @throws BadInputException if a VM asks for a function twice then
   */
  public Request wrapping(Map<UUID, PciAddress> functions) {
    List<VmRequest> wrapping = new ArrayList<>();
    for (VmRequest vm : vms) {
      try {
        wrapping.add(vm.with(vm.devices().stream().map(d -> wrapping(d, functions)).toList()));
      } catch (IllegalArgumentException e) {
        throw new BadInputException(
            source, 0, "vms." + vm.name() + ".devices", String.valueOf(e.getMessage()));
      }
    }
    return wrapping.equals(vms) ? this : with(wrapping);
  }

  private static DeviceRequest wrapping(DeviceRequest device, Map<UUID, PciAddress> functions) {
    return Optional.of(device)
        .filter(d -> d.mode() == Mode.MDEV)
        .flatMap(d -> Optional.ofNullable(functions.get(UUID.fromString(d.device()))))
        .map(f -> DeviceRequest.wrapped(f.toString()))
        .map(d -> device.at().map(d::at).orElse(d))
        .orElse(device);
  }

  /** The same with other VMs. */
  public Request with(List<VmRequest> other) {
    return new Request(source, host, other, running, drivers, leftOut);
  }

  /** The same with one VM changed; the same as it is if there is no such VM. */
  public Request with(String vm, UnaryOperator<VmRequest> change) {
    return with(vms.stream().map(v -> v.name().equals(vm) ? change.apply(v) : v).toList());
  }

  /** The VM of this name. */
  public Optional<VmRequest> vm(String name) {
    return vms.stream().filter(v -> v.name().equals(name)).findFirst();
  }
}
