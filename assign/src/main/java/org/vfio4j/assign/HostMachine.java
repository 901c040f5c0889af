// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevIsolation;
import org.vfio4j.host.MdevOffers;
import org.vfio4j.host.MdevType;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.type1.Type1Parameters;
import org.vfio4j.vfio.DriverKind;

/**
 * The machine of the engine that a host is. What the source does not say is taken as an ordinary
 * host would have it: interrupts remapped, the MSI window of x86 reserved, no firmware mappings, 48
 * bits, and every endpoint of unknown driver on one of the host's own.
 */
public final class HostMachine {
  /** What a function of unknown driver is taken to be bound to. */
  static final String UNKNOWN_DRIVER = "unknown";

  /** What has a function that its vendor's driver offers to VMs, whatever that is called. */
  static final String VENDORS_DRIVER = "vendors-vfio";

  /** The window in which x86 takes memory writes for interrupts. */
  static final ReservedRegion X86_MSI =
      new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);

  private static final int DEFAULT_BITS = 48;
  private static final int PASIDS = 1 << 20;
  private static final int MAX_MDEV_INSTANCES = 1 << 16;

  private final HostTopology host;
  private final KernelProfile profile;
  private final SoftMachine machine;
  private final Map<Integer, IommuGroup> groups = new HashMap<>();

  private HostMachine(HostTopology host, KernelProfile profile) {
    this.host = host;
    this.profile = profile;
    this.machine = new SoftMachine(profile);
  }

  /** A fresh machine in the state that the host was in, answering as a kernel of the profile. */
  public static SoftMachine of(HostTopology host, KernelProfile profile) {
    HostMachine building = new HostMachine(host, profile);
    building.build();
    return building.machine;
  }

  private void build() {
    Type1Parameters parameters = machine.parameters();
    host.iommu().allowUnsafeInterrupts().ifPresent(parameters::allowUnsafeInterrupts);
    host.iommu()
        .dmaEntryLimit()
        .ifPresent(limit -> parameters.entryLimit((int) Math.min(limit, Integer.MAX_VALUE)));
    IommuUnit unit = unit();
    for (HostGroup group : host.groups()) {
      groups.put(group.id(), machine.addGroup(group.id(), unit, regions(host, group)));
    }
    for (PciFunction f : host.functions()) {
      Optional<IommuGroup> group = f.group().value().map(groups::get);
      machine.addFunction(function(f), group);
      if (f.numVfs().isPresent() || f.totalVfs().orElse(0) > 0) {
        machine.physical(f.address().toString());
      }
      driver(f, group.isPresent()).ifPresent(d -> machine.adopt(f.address().toString(), d));
    }
    host.mdevParents().forEach(this::addParent);
    host.mdevs().forEach(this::addMdev);
  }

  /** Bits of an IOVA. */
  static int addressWidth(HostTopology host) {
    return host.iommu().addressWidth().orElse(DEFAULT_BITS);
  }

  private IommuUnit unit() {
    IommuFacts facts = host.iommu();
    long sizes =
        facts
            .pageSizes()
            .map(list -> list.stream().reduce(0L, (a, b) -> a | b))
            .filter(bits -> bits != 0)
            .orElse(profile.pageSizes());
    return new IommuUnit(
        "iommu",
        addressWidth(host),
        sizes,
        facts.cacheCoherency().orElse(false),
        facts.interruptRemapping().orElse(true),
        false,
        true,
        PASIDS);
  }

  /** What the group keeps for itself, or is taken to. */
  static List<ReservedRegion> regions(HostTopology host, HostGroup group) {
    List<ReservedRegion> regions =
        new ArrayList<>(group.reservedRegions().orElse(List.of(X86_MSI)));
    for (PciFunction member : host.members(group.id())) {
      member.identityMaps().stream().filter(r -> !regions.contains(r)).forEach(regions::add);
      boolean locked = member.rmrrLocked().orElse(false);
      if (locked && regions.stream().noneMatch(r -> r.type() == ReservedRegion.Type.DIRECT)) {
        // The log says that firmware keeps a range, not which: any one page stands for it.
        regions.add(new ReservedRegion(0, 0xfff, ReservedRegion.Type.DIRECT));
      }
    }
    return regions;
  }

  private SoftFunction function(PciFunction f) {
    return new SoftFunction(
        f.address().toString(),
        f.id().map(id -> id.vendor()).orElse(0xffff),
        f.id().map(id -> id.device()).orElse(0xffff),
        f.isBridge().orElse(false),
        f.resettable().orElse(false),
        f.physicalFunction().value().map(PciAddress::toString),
        virtualFunctions(f),
        f.parent().value().isEmpty());
  }

  /** How many virtual functions are on; where the source does not count them, those it shows. */
  private int virtualFunctions(PciFunction f) {
    return f.numVfs().orElseGet(() -> host.virtualFunctions(f.address()).size());
  }

  private static Optional<String> driver(PciFunction f, boolean grouped) {
    if (f.offeredByVendor()) {
      return grouped ? Optional.of(VENDORS_DRIVER) : Optional.empty();
    }
    return switch (f.driver()) {
      case Fact.Known<String>(String name)
          when grouped || !DriverKind.of(name, false).registersWithVfio() ->
          Optional.of(name);
      case Fact.Known<String> _, Fact.None<String> _ -> Optional.empty();
      case Fact.Unknown<String> _ ->
          f.isBridge().orElse(false) ? Optional.empty() : Optional.of(UNKNOWN_DRIVER);
    };
  }

  private void addParent(MdevOffers parent) {
    String name = parent.device();
    ensure(machine, name);
    MdevParent.Kind kind = kind(parent.isolation());
    for (MdevType type : parent.types()) {
      long used =
          host.mdevs().stream()
              .filter(m -> m.parent().equals(name) && m.type().equals(Optional.of(type.id())))
              .count();
      int more = type.availableInstances().orElse(0);
      int instances = (int) Math.min(MAX_MDEV_INSTANCES, used + more);
      machine.offer(name, new MdevParent.Type(type.id(), kind, instances));
    }
  }

  /** A parent that is no PCI function of the host is one all the same. */
  static void ensure(SoftMachine machine, String parent) {
    if (machine.device(parent).isEmpty()) {
      machine.addFunction(SoftFunction.endpoint(parent, 0xffff, 0xffff), Optional.empty());
    }
  }

  static MdevParent.Kind kind(Optional<MdevIsolation> isolation) {
    return switch (isolation.orElse(MdevIsolation.PLAIN)) {
      case PLAIN -> MdevParent.Kind.PLAIN;
      case BACKED -> MdevParent.Kind.BACKED;
      case AUX -> MdevParent.Kind.AUX;
    };
  }

  private void addMdev(Mdev mdev) {
    String type = mdev.type().orElse("unknown");
    ensure(machine, mdev.parent());
    boolean offered =
        machine
            .parent(mdev.parent())
            .map(p -> p.types().stream().anyMatch(t -> t.name().equals(type)))
            .orElse(false);
    if (!offered) {
      long used = host.mdevs().stream().filter(m -> m.parent().equals(mdev.parent())).count();
      machine.offer(mdev.parent(), new MdevParent.Type(type, MdevParent.Kind.PLAIN, (int) used));
    }
    String uuid = mdev.uuid().toString();
    mdev.group()
        .ifPresentOrElse(
            id -> machine.createMdev(mdev.parent(), type, uuid, id),
            () -> machine.createMdev(mdev.parent(), type, uuid));
  }
}
