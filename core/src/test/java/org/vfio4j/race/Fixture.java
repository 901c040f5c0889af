// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.race;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.Q35;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** A small IOMMU, and memory of which every page is filled with a byte of its own. */
final class Fixture {
  static final long PAGE = AddressSpace.PAGE;
  static final int BOTH = Container.MAP_READ | Container.MAP_WRITE;

  /** What {@link #read} says where nothing is mapped; no page is filled with it. */
  static final int FAULT = 0;

  /** A function that is nothing but a name. */
  record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  final KernelProfile kernel;
  final SoftIommu iommu;
  private int groups;
  private int filled;

  Fixture(KernelProfile kernel) {
    this.kernel = kernel;
    this.iommu = new SoftIommu(kernel);
  }

  IommuGroup group(IommuUnit unit, Device... members) {
    IommuGroup group = iommu.addGroup(++groups, unit, List.of(Q35.MSI));
    for (Device member : members) {
      iommu.addDevice(group, member);
    }
    return group;
  }

  /** The group of a mediated device. */
  IommuGroup mdev(Isolation isolation) {
    IommuGroup group = iommu.addGroup(++groups, IommuUnit.NONE, List.of());
    iommu.addDevice(
        group, new MediatedDevice("mdev" + groups, "type", new Function("parent"), isolation));
    return group;
  }

  Container container(String name) {
    return container(name, iommu);
  }

  Container container(String name, Iommu behind) {
    return new Container(name, behind, kernel, Type1.V2, new Type1Parameters());
  }

  /** Memory of a process, its pages filled with bytes that nothing else here has. */
  final class Memory {
    final AddressSpace mm = new AddressSpace();
    private final int first = filled + 1;
    private final long vaddr;

    Memory(int pages) {
      MemorySegment memory = Arena.ofAuto().allocate(pages * PAGE, PAGE);
      for (int page = 0; page < pages; page++) {
        memory.asSlice(page * PAGE, PAGE).fill((byte) value(page));
      }
      filled += pages;
      vaddr = mm.place(memory);
    }

    /** The byte that a page is filled with. */
    int value(int page) {
      return first + page;
    }

    void map(Container container, int page, long iova) {
      container.map(mm, vaddr + page * PAGE, iova, PAGE, BOTH);
    }
  }

  /**
   * What a device reads in a page: its byte, or FAULT.
   *
   * @throws AssertionError if it is not the same all over
   */
  static int read(DmaPort port, long iova, byte[] buffer) {
    try {
      port.read(iova, MemorySegment.ofArray(buffer));
    } catch (DmaFaultException fault) {
      return FAULT;
    }
    for (byte each : buffer) {
      if (each != buffer[0]) {
        throw new AssertionError("one access saw %d and %d".formatted(buffer[0], each));
      }
    }
    return buffer[0];
  }
}
