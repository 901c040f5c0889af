// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.StringJoiner;
import org.junit.jupiter.api.AfterEach;
import org.vfio4j.error.Holder;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Mapping;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Q35;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/**
 * A scenario below the user API: containers over an IOMMU whose calls can be made to fail, and
 * groups of any shape.
 */
abstract class ModelScenario extends EachKernel {
  static final long PAGE = 4096;
  static final long IOVA = 0x100000;
  static final long SIZE = 0x10000;
  static final int BOTH = Container.MAP_READ | Container.MAP_WRITE;
  static final IommuUnit UNIT = IommuUnit.VT_D;

  /** A device that is nothing but a name on a bus. */
  record Function(String name, Bus bus) implements Device {
    static Function pci(String name) {
      return new Function(name, Bus.PCI);
    }
  }

  final SoftIommu soft;
  final FailingIommu iommu;
  final Type1Parameters parameters = new Type1Parameters();
  final AddressSpace mm = new AddressSpace();
  final MemorySegment memory = Arena.ofAuto().allocate(1 << 20, PAGE);
  final long vaddr = mm.place(memory);

  private final List<Container> containers = new ArrayList<>();
  private final List<IommuGroup> groups = new ArrayList<>();
  private int mdevs;

  ModelScenario(KernelProfile kernel) {
    super(kernel);
    needsModel("it reaches below the user API");
    soft = new SoftIommu(kernel);
    iommu = new FailingIommu(soft);
  }

  @AfterEach
  void leavesNoTrace() {
    iommu.failNoMore();
    containers.forEach(Container::close);
    assertThat(soft.census()).isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(mm.lockedPages()).as("locked pages").isZero();
    for (IommuGroup group : groups) {
      for (Device device : List.copyOf(group.devices())) {
        soft.removeDevice(device);
      }
    }
    assertThat(soft.groups()).as("groups without device").isEmpty();
  }

  /** A group with the usual MSI window, of functions. */
  final IommuGroup group(Device... members) {
    return group(UNIT, List.of(Q35.MSI), members);
  }

  final IommuGroup group(IommuUnit unit, List<ReservedRegion> regions, Device... members) {
    IommuGroup group = soft.addGroup(groups.size() + 1, unit, regions);
    groups.add(group);
    for (Device member : members) {
      soft.addDevice(group, member);
    }
    return group;
  }

  /** The group of a mediated device, or of several. */
  final IommuGroup mdev(Isolation... isolation) {
    List<Device> members = new ArrayList<>();
    for (Isolation each : isolation) {
      members.add(new MediatedDevice("mdev" + ++mdevs, "type", Function.pci("parent"), each));
    }
    return group(IommuUnit.NONE, List.of(), members.toArray(Device[]::new));
  }

  /** The group of a wrapped function: W(x). */
  final IommuGroup wrapped(Device function) {
    return mdev(new Isolation.Backed(function));
  }

  final Container container(String name) {
    return container(name, Type1.V2);
  }

  final Container container(String name, Type1 type) {
    Container made = new Container(name, iommu, kernel, type, parameters);
    containers.add(made);
    return made;
  }

  final void map(Container container, long iova, long size) {
    map(container, 0, iova, size);
  }

  final void map(Container container, long offset, long iova, long size) {
    container.map(mm, vaddr + offset, iova, size, BOTH);
  }

  final void fill(long offset, int value) {
    memory.asSlice(offset, PAGE).fill((byte) value);
  }

  /** What a function's own requests read; empty if that faults. */
  final OptionalInt reads(Device function, long iova) {
    return reads(soft.port(function), iova);
  }

  static OptionalInt reads(DmaPort port, long iova) {
    byte[] read = new byte[1];
    try {
      port.read(iova, MemorySegment.ofArray(read));
    } catch (DmaFaultException fault) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(read[0]);
  }

  /** All that a refused call must not change. */
  final String state() {
    StringJoiner state = new StringJoiner("\n");
    state.add(soft.census() + ", locked " + mm.lockedPages());
    for (Container c : containers) {
      state.add(
          "%s: %s, %d domains, %d mappings, %s, emulated %b, coherent %b"
              .formatted(
                  c.name(),
                  c.groups(),
                  c.domains(),
                  c.mappings(),
                  c.info(),
                  c.hasEmulated(),
                  c.coherent()));
    }
    for (IommuGroup g : groups) {
      String holder = g.ownership().who().map(o -> o.holder(g)).map(Holder::toString).orElse("-");
      String domain = soft.domainOf(g).map(System::identityHashCode).toString();
      state.add(
          "%s: %s, on %s, users %s"
              .formatted(g, holder, domain, containers.stream().map(c -> c.useCount(g)).toList()));
      for (Device d : g.devices()) {
        state.add(d.name() + " reaches " + soft.port(d).reaches(IOVA, Mapping.READ));
      }
    }
    return state.toString();
  }
}
