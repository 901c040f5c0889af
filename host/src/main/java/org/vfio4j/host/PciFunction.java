// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.vfio.DriverKind;

/**
 * A PCI function as the source shows it.
 *
 * @param address its address
 * @param id vendor and device
 * @param subsystem vendor and device of the subsystem
 * @param classCode class, 16 or 24 bits
 * @param headerType layout of its config space
 * @param pcieType device/port type, or conventional
 * @param driver driver it is bound to; none: unbound
 * @param group number of its IOMMU group; none: it is in no group
 * @param physicalFunction the PF it is a VF of; none: it is no VF
 * @param numVfs VFs that are switched on, 0 or more
 * @param totalVfs VFs that it can have, 0 or more
 * @param resetMethods the kernel's {@code reset_method}, in the order it tries them; empty list: no
 *     way to reset it
 * @param resettable whether the kernel can reset it at all, where only this is known
 * @param numaNode NUMA node, 0 or more; none: the platform names no node
 * @param acs Access Control Services; none: it has no such capability
 * @param parent the bridge above it; none: it sits on a root bus
 * @param buses buses behind it, where it is a bridge
 * @param iommuUnit the IOMMU that translates for it, such as {@code dmar1}
 * @param identityMaps ranges that the source ties to this function as mapped 1:1 for firmware; an
 *     empty list is no proof that there are none
 * @param rmrrLocked true where the kernel log says that it refuses to attach the function because
 *     of such a range
 * @param description name of the device, in words
 * @param driverOverride the driver that alone may bind to it ({@code driver_override}); none: any
 * @param vgpu what the vendor's driver makes of it, where that is a virtual GPU
 * @param signs trouble that the source tells of; an empty set is no proof that there is none
 */
public record PciFunction(
    PciAddress address,
    Optional<PciId> id,
    Optional<PciId> subsystem,
    Optional<PciClass> classCode,
    Optional<HeaderType> headerType,
    Optional<PcieType> pcieType,
    Fact<String> driver,
    Fact<Integer> group,
    Fact<PciAddress> physicalFunction,
    Optional<Integer> numVfs,
    Optional<Integer> totalVfs,
    Optional<List<String>> resetMethods,
    Optional<Boolean> resettable,
    Fact<Integer> numaNode,
    Fact<Acs> acs,
    Fact<PciAddress> parent,
    Optional<BusRange> buses,
    Optional<String> iommuUnit,
    List<ReservedRegion> identityMaps,
    Optional<Boolean> rmrrLocked,
    Optional<String> description,
    Fact<String> driverOverride,
    Optional<Vgpu> vgpu,
    Set<FunctionSign> signs) {

  /** Copies the lists; where the reset methods are known, so is whether there is one. */
  public PciFunction {
    resetMethods = resetMethods.map(List::copyOf);
    if (resetMethods.isPresent()) {
      resettable = resetMethods.map(l -> !l.isEmpty());
    }
    identityMaps = List.copyOf(identityMaps);
    signs = Set.copyOf(signs);
  }

  /**
   * Whether it goes to a VM from its vendor's driver, and is not bound to another one for it: it is
   * a virtual GPU, on a driver whose name does not say that it is VFIO's.
   */
  public boolean offeredByVendor() {
    return vgpu.isPresent()
        && driver.value().filter(d -> !DriverKind.of(d, false).registersWithVfio()).isPresent();
  }

  /** A builder of a function of which nothing but the address is known. */
  public static Builder builder(PciAddress address) {
    return new Builder(address);
  }

  /** A builder that starts from this function. */
  public Builder toBuilder() {
    Builder copy =
        new Builder(address)
            .id(id)
            .subsystem(subsystem)
            .classCode(classCode)
            .headerType(headerType)
            .pcieType(pcieType)
            .driver(driver)
            .group(group)
            .physicalFunction(physicalFunction)
            .numVfs(numVfs)
            .totalVfs(totalVfs)
            .resetMethods(resetMethods)
            .resettable(resettable)
            .numaNode(numaNode)
            .acs(acs)
            .parent(parent)
            .buses(buses)
            .iommuUnit(iommuUnit)
            .identityMaps(identityMaps)
            .rmrrLocked(rmrrLocked)
            .description(description)
            .driverOverride(driverOverride)
            .vgpu(vgpu);
    signs.forEach(copy::sign);
    return copy;
  }

  /**
   * Whether it is a bridge or a port, which VFIO exempts from the viability of its group: by the
   * header type or, where that is unknown, by the class. Empty where neither is known.
   */
  public Optional<Boolean> isBridge() {
    return headerType
        .map(h -> h != HeaderType.NORMAL)
        .or(() -> classCode.map(PciClass::isPciBridge));
  }

  /** Whether it is a virtual function; empty where the source does not say. */
  public Optional<Boolean> isVirtual() {
    return physicalFunction.isUnknown()
        ? Optional.empty()
        : Optional.of(!physicalFunction.isNone());
  }

  /** Collects what a source says, piece by piece. Not thread-safe. */
  public static final class Builder {
    private final PciAddress address;
    private Optional<PciId> id = Optional.empty();
    private Optional<PciId> subsystem = Optional.empty();
    private Optional<PciClass> classCode = Optional.empty();
    private Optional<HeaderType> headerType = Optional.empty();
    private Optional<PcieType> pcieType = Optional.empty();
    private Fact<String> driver = Fact.unknown();
    private Fact<Integer> group = Fact.unknown();
    private Fact<PciAddress> physicalFunction = Fact.unknown();
    private Optional<Integer> numVfs = Optional.empty();
    private Optional<Integer> totalVfs = Optional.empty();
    private Optional<List<String>> resetMethods = Optional.empty();
    private Optional<Boolean> resettable = Optional.empty();
    private Fact<Integer> numaNode = Fact.unknown();
    private Fact<Acs> acs = Fact.unknown();
    private Fact<PciAddress> parent = Fact.unknown();
    private Optional<BusRange> buses = Optional.empty();
    private Optional<String> iommuUnit = Optional.empty();
    private List<ReservedRegion> identityMaps = List.of();
    private Optional<Boolean> rmrrLocked = Optional.empty();
    private Optional<String> description = Optional.empty();
    private Fact<String> driverOverride = Fact.unknown();
    private Optional<Vgpu> vgpu = Optional.empty();
    private final Set<FunctionSign> signs = EnumSet.noneOf(FunctionSign.class);

    private Builder(PciAddress address) {
      this.address = address;
    }

    /** The address of the function that is being built. */
    public PciAddress address() {
      return address;
    }

    /** Adds trouble that the source tells of. */
    public Builder sign(FunctionSign sign) {
      signs.add(sign);
      return this;
    }

    /** Sets the driver that alone may bind to it. */
    public Builder driverOverride(Fact<String> value) {
      driverOverride = value;
      return this;
    }

    /** Sets vendor and device. */
    public Builder id(Optional<PciId> value) {
      id = value;
      return this;
    }

    /** Sets vendor and device of the subsystem. */
    public Builder subsystem(Optional<PciId> value) {
      subsystem = value;
      return this;
    }

    /** Sets the class. */
    public Builder classCode(Optional<PciClass> value) {
      classCode = value;
      return this;
    }

    /** Sets the header type. */
    public Builder headerType(Optional<HeaderType> value) {
      headerType = value;
      return this;
    }

    /** Sets the PCIe type. */
    public Builder pcieType(Optional<PcieType> value) {
      pcieType = value;
      return this;
    }

    /** Sets the driver. */
    public Builder driver(Fact<String> value) {
      driver = value;
      return this;
    }

    /** Sets the group. */
    public Builder group(Fact<Integer> value) {
      group = value;
      return this;
    }

    /** Sets the PF of a VF. */
    public Builder physicalFunction(Fact<PciAddress> value) {
      physicalFunction = value;
      return this;
    }

    /** Sets how many VFs are switched on. */
    public Builder numVfs(Optional<Integer> value) {
      numVfs = value;
      return this;
    }

    /** Sets how many VFs there can be. */
    public Builder totalVfs(Optional<Integer> value) {
      totalVfs = value;
      return this;
    }

    /** Sets the reset methods. */
    public Builder resetMethods(Optional<List<String>> value) {
      resetMethods = value;
      return this;
    }

    /** Sets whether it can be reset. */
    public Builder resettable(Optional<Boolean> value) {
      resettable = value;
      return this;
    }

    /** Sets the NUMA node. */
    public Builder numaNode(Fact<Integer> value) {
      numaNode = value;
      return this;
    }

    /** Sets the Access Control Services. */
    public Builder acs(Fact<Acs> value) {
      acs = value;
      return this;
    }

    /** Sets the bridge above. */
    public Builder parent(Fact<PciAddress> value) {
      parent = value;
      return this;
    }

    /** Sets the buses behind. */
    public Builder buses(Optional<BusRange> value) {
      buses = value;
      return this;
    }

    /** Sets the IOMMU unit. */
    public Builder iommuUnit(Optional<String> value) {
      iommuUnit = value;
      return this;
    }

    /** Sets the ranges that are mapped 1:1. */
    public Builder identityMaps(List<ReservedRegion> value) {
      identityMaps = value;
      return this;
    }

    /** Sets whether the kernel refuses to attach it because of such a range. */
    public Builder rmrrLocked(Optional<Boolean> value) {
      rmrrLocked = value;
      return this;
    }

    /** Sets the name in words. */
    public Builder description(Optional<String> value) {
      description = value;
      return this;
    }

    /** Sets what the vendor's driver makes of it. */
    public Builder vgpu(Optional<Vgpu> value) {
      vgpu = value;
      return this;
    }

    /** The function as collected so far. */
    public PciFunction build() {
      return new PciFunction(
          address,
          id,
          subsystem,
          classCode,
          headerType,
          pcieType,
          driver,
          group,
          physicalFunction,
          numVfs,
          totalVfs,
          resetMethods,
          resettable,
          numaNode,
          acs,
          parent,
          buses,
          iommuUnit,
          identityMaps,
          rmrrLocked,
          description,
          driverOverride,
          vgpu,
          signs);
    }
  }
}
