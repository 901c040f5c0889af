// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/**
 * A change that helps against a refusal: to what is asked for, or to the host. A verdict has only
 * such as were applied, had the device attached, refused nothing else, and took nothing from other
 * VMs of the request, from what runs on the host, or from the host itself.
 */
public sealed interface Fix {

  /**
   * What there is after a change.
   *
   * @param request the request
   * @param host the host
   */
  record Changed(Request request, HostTopology host) {}

  /**
   * Makes the change. It changes values only: what has to be done on the machine is done by whoever
   * reads it. Where what it is about is not there, nothing changes.
   */
  Changed apply(Request request, HostTopology host);

  /** The VMs of the request that it changes, by name. */
  default List<String> vms() {
    return switch (this) {
      case GiveToo f -> List.of(f.vm());
      case Move f -> List.of(f.from(), f.to());
      case ShareAddressSpace f -> List.of(f.vm());
      case AskWhole f -> List.of(f.vm());
      case RaiseMemlock f -> List.of(f.vm());
      case LessMemory f -> List.of(f.vm());
      case AskFor f -> List.of(f.vm());
      case LeaveOut f -> List.of(f.vm());
      case UseToken f -> Stream.concat(Stream.of(f.vm()), f.holder().stream()).distinct().toList();
      case Together(List<Fix> fixes) ->
          fixes.stream().flatMap(f -> f.vms().stream()).distinct().toList();
      case OfHost _ -> List.of();
    };
  }

  /** The same for another VM that asks for the same. */
  default Fix renamed(String vm, String other) {
    return switch (this) {
      case GiveToo f -> f.vm().equals(vm) ? new GiveToo(other, f.functions()) : f;
      case Move f -> f.from().equals(vm) ? new Move(f.device(), other, f.to()) : f;
      case ShareAddressSpace f -> f.vm().equals(vm) ? new ShareAddressSpace(other) : f;
      case AskWhole f -> f.vm().equals(vm) ? new AskWhole(other, f.function()) : f;
      case RaiseMemlock f -> f.vm().equals(vm) ? new RaiseMemlock(other, f.bytes(), f.spaces()) : f;
      case LessMemory f -> f.vm().equals(vm) ? new LessMemory(other, f.bytes()) : f;
      case AskFor f -> f.vm().equals(vm) ? new AskFor(other, f.device(), f.other(), f.group()) : f;
      case LeaveOut f -> f.vm().equals(vm) ? new LeaveOut(other, f.device()) : f;
      case UseToken f ->
          f.vm().equals(vm)
              ? new UseToken(other, f.device(), f.physical(), f.holder(), f.token())
              : f;
      case Together(List<Fix> fixes) ->
          new Together(fixes.stream().map(f -> f.renamed(vm, other)).toList());
      case OfHost f -> f;
    };
  }

  /** The change in a user's words, without a full stop. */
  default String sentence() {
    return FixSentence.of(this);
  }

  /**
   * Several changes, all of which it takes.
   *
   * @param fixes in their order
   */
  record Together(List<Fix> fixes) implements Fix {
    /** Copies the list. */
    public Together {
      fixes = List.copyOf(fixes);
    }

    @Override
    public Changed apply(Request request, HostTopology host) {
      Changed changed = new Changed(request, host);
      for (Fix fix : fixes) {
        changed = fix.apply(changed.request(), changed.host());
      }
      return changed;
    }
  }

  /** A change to what is asked for. */
  sealed interface OfRequest extends Fix {
    /** The request after it. */
    Request apply(Request request);

    @Override
    default Changed apply(Request request, HostTopology host) {
      return new Changed(apply(request), host);
    }
  }

  /** A change to the host. */
  sealed interface OfHost extends Fix {
    /** The host after it. */
    HostTopology apply(HostTopology host);

    @Override
    default Changed apply(Request request, HostTopology host) {
      return new Changed(request, apply(host));
    }
  }

  /**
   * Members of the group leave the drivers of the host that have them.
   *
   * @param functions as they are, with their drivers
   */
  record Unbind(List<PciFunction> functions) implements OfHost {
    /** Copies the list. */
    public Unbind {
      functions = List.copyOf(functions);
    }

    @Override
    public HostTopology apply(HostTopology host) {
      HostTopology changed = host;
      for (PciFunction f : functions) {
        changed = Fix.changed(changed, f.address(), b -> b.driver(Fact.none()));
        changed = Fix.withoutVirtual(changed, f.address());
      }
      return changed;
    }
  }

  /**
   * A VM gets the members of the group that stand in its way, too.
   *
   * @param vm the VM
   * @param functions the members
   */
  record GiveToo(String vm, List<PciAddress> functions) implements OfRequest {
    /** Copies the list. */
    public GiveToo {
      functions = List.copyOf(functions);
    }

    @Override
    public Request apply(Request request) {
      Request changed = request;
      for (PciAddress f : functions) {
        changed = changed.with(vm, v -> v.plus(DeviceRequest.whole(f.toString())));
      }
      return changed;
    }
  }

  /**
   * The VM that has the group gets the device.
   *
   * @param device what is asked for
   * @param from the VM that asks
   * @param to the VM that has the group
   */
  record Move(DeviceRequest device, String from, String to) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(from, v -> v.without(device)).with(to, v -> v.plus(device));
    }
  }

  /**
   * The devices of a VM share one address space: no IOMMU in the guest.
   *
   * @param vm the VM
   */
  record ShareAddressSpace(String vm) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.withViommu(false));
    }
  }

  /**
   * The VM asks for the function itself, and not for a wrapped one as well.
   *
   * @param vm the VM
   * @param function the function
   */
  record AskWhole(String vm, PciAddress function) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.without(DeviceRequest.wrapped(function.toString())));
    }
  }

  /**
   * The VM's process may lock more memory.
   *
   * @param vm the VM
   * @param bytes the limit then
   * @param spaces how many address spaces its RAM is mapped into
   */
  record RaiseMemlock(String vm, long bytes, int spaces) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.withMemlock(bytes));
    }
  }

  /**
   * The VM gets less RAM.
   *
   * @param vm the VM
   * @param bytes the most it can have
   */
  record LessMemory(String vm, long bytes) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.withMemory(bytes));
    }
  }

  /**
   * The VM asks for another device of the same make.
   *
   * @param vm the VM
   * @param device what it asks for now
   * @param other what to ask for
   * @param group the group of that
   */
  record AskFor(String vm, DeviceRequest device, PciAddress other, int group) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.with(replaced(v.devices())));
    }

    private List<DeviceRequest> replaced(List<DeviceRequest> devices) {
      List<DeviceRequest> changed = new ArrayList<>(devices);
      int at = changed.lastIndexOf(device);
      if (at >= 0) {
        changed.set(at, device.of(other.toString()));
      }
      return changed;
    }
  }

  /**
   * The VM does without the device.
   *
   * @param vm the VM
   * @param device the device
   */
  record LeaveOut(String vm, DeviceRequest device) implements OfRequest {
    @Override
    public Request apply(Request request) {
      return request.with(vm, v -> v.without(device));
    }
  }

  /**
   * A virtual function is asked for with the token of its physical function.
   *
   * @param vm who asks for it
   * @param device the virtual function, as it is asked for
   * @param physical the physical function, which vfio-pci has
   * @param holder the VM that asks for the physical function without a token, and then gives it the
   *     same one
   * @param token the token; empty if only the user of the physical function knows it
   */
  record UseToken(
      String vm,
      DeviceRequest device,
      PciAddress physical,
      Optional<String> holder,
      Optional<UUID> token)
      implements OfRequest {
    @Override
    public Request apply(Request request) {
      UUID used = token.orElseGet(() -> Fix.tokenOf(physical));
      return request.with(
          request.vms().stream()
              .map(v -> v.name().equals(vm) ? v.with(device, device.withToken(used)) : v)
              .map(
                  v ->
                      holder.filter(v.name()::equals).isPresent()
                          ? Tokens.request(v, physical)
                              .map(d -> v.with(d, d.withToken(used)))
                              .orElse(v)
                          : v)
              .toList());
    }
  }

  /** A token for a physical function that has none: any will do, and this is always the same. */
  static UUID tokenOf(PciAddress physical) {
    return UUID.nameUUIDFromBytes(physical.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Interrupt remapping is switched on. */
  record RemapInterrupts() implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return host.with(host.iommu().withInterruptRemapping(true));
    }
  }

  /** VFIO accepts that interrupts are not remapped. */
  record AllowUnsafeInterrupts() implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return host.with(host.iommu().withAllowUnsafeInterrupts(true));
    }
  }

  /**
   * A container may hold more mappings.
   *
   * @param limit how many then
   */
  record RaiseEntryLimit(long limit) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      IommuFacts facts = host.iommu();
      return host.with(facts.withDmaEntryLimit(limit));
    }
  }

  /**
   * The physical function of a virtual one leaves VFIO, which switches the virtual ones off, and
   * goes back to its own driver, which makes them again.
   *
   * @param function the physical function
   */
  record ReleasePhysical(PciAddress function) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return Fix.changed(host, function, b -> b.driver(Fact.none()));
    }
  }

  /**
   * The virtual functions of a function are switched off.
   *
   * @param function the physical function
   */
  record NoVirtualFunctions(PciAddress function) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return Fix.withoutVirtual(host, function);
    }
  }

  /**
   * The host's IOMMU is switched on, or is seen to be: the function gets a group of its own, since
   * nothing is known of its neighbours.
   *
   * @param function the function
   * @param off whether the source says that the IOMMU is off, rather than not showing groups
   */
  record ShowGroups(PciAddress function, boolean off) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      int free =
          IntStream.concat(
                      host.groups().stream().mapToInt(HostGroup::id),
                      host.mdevs().stream().flatMapToInt(m -> m.group().stream().mapToInt(g -> g)))
                  .max()
                  .orElse(-1)
              + 1;
      HostGroup group =
          new HostGroup(free, List.of(function), List.of(), Optional.empty(), Optional.empty());
      return host.function(function)
          .filter(f -> f.group().value().isEmpty())
          .map(
              f ->
                  host.with(
                      host.functions().stream()
                          .map(o -> o.equals(f) ? f.toBuilder().group(Fact.known(free)).build() : o)
                          .toList(),
                      Stream.concat(host.groups().stream(), Stream.of(group)).toList()))
          .orElse(host);
    }
  }

  /**
   * A definition does not start by itself any more.
   *
   * @param definition as it is
   */
  record StartManually(MdevDefinition definition) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return Fix.redefined(
          host,
          definition,
          new MdevDefinition(
              definition.uuid(),
              definition.parent(),
              definition.type(),
              MdevDefinition.Start.MANUAL,
              definition.attributes()));
    }
  }

  /**
   * A definition gets another type of its parent.
   *
   * @param definition as it is
   * @param type the type then
   */
  record DefineAs(MdevDefinition definition, String type) implements OfHost {
    @Override
    public HostTopology apply(HostTopology host) {
      return Fix.redefined(
          host,
          definition,
          new MdevDefinition(
              definition.uuid(),
              definition.parent(),
              type,
              definition.start(),
              definition.attributes()));
    }
  }

  private static HostTopology redefined(
      HostTopology host, MdevDefinition definition, MdevDefinition other) {
    return host.withMdevDefinitions(
        host.mdevDefinitions().stream().map(d -> d.equals(definition) ? other : d).toList());
  }

  /** The host with the virtual functions of a function switched off. */
  private static HostTopology withoutVirtual(HostTopology host, PciAddress physical) {
    Set<PciAddress> gone =
        host.virtualFunctions(physical).stream()
            .map(PciFunction::address)
            .collect(Collectors.toSet());
    HostTopology changed =
        changed(
            host,
            physical,
            b -> b.numVfs(host.function(physical).flatMap(PciFunction::numVfs).map(n -> 0)));
    boolean kept =
        gone.isEmpty()
            || gone.stream().anyMatch(f -> !host.rolesOf(f).isEmpty())
            || host.mdevs().stream()
                .anyMatch(m -> gone.stream().anyMatch(f -> m.parent().equals(f.toString())));
    if (kept) {
      return changed;
    }
    return changed.with(
        changed.functions().stream().filter(f -> !gone.contains(f.address())).toList(),
        changed.groups().stream()
            .filter(g -> !gone.containsAll(g.members()) || g.members().isEmpty())
            .map(
                g ->
                    new HostGroup(
                        g.id(),
                        g.members().stream().filter(m -> !gone.contains(m)).toList(),
                        g.otherMembers(),
                        g.type(),
                        g.reservedRegions()))
            .toList());
  }

  private static HostTopology changed(
      HostTopology host,
      PciAddress function,
      java.util.function.UnaryOperator<PciFunction.Builder> change) {
    return host.function(function)
        .map(f -> host.with(change.apply(f.toBuilder()).build()))
        .orElse(host);
  }
}
