// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.vfio;

import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.DmaPort;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/** Back end {@code soft} of the user API: one process on a {@link SoftMachine}. */
public final class SoftVfio extends EngineVfio {
  private final SoftMachine machine;

  SoftVfio(String name, SoftMachine machine) {
    super(name, machine, new AddressSpace());
    this.machine = machine;
  }

  /** The machine it runs on. */
  public SoftMachine machine() {
    return machine;
  }

  /**
   * The port through which an open device does its DMA: by its own requests, by those of the
   * function it wraps, by its parent's PASID, or, emulated, by its parent's driver. ENODEV for a
   * device that no IOMMU serves: it would reach the machine's own memory, which is not modelled.
   */
  public DmaPort dma(int deviceFd) {
    return call("dma", () -> port(openDevice(deviceFd)));
  }

  private DmaPort port(OpenFile.OfDevice file) {
    Device device = file.device();
    if (file.group().noiommu()) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.NOT_SUPPORTED,
          device.name() + " has no IOMMU: it reaches the machine's own memory, and there is none",
          device.name());
    }
    Isolation isolation =
        device instanceof MediatedDevice m ? m.isolation() : new Isolation.Backed(device);
    Container container = file.group().container.orElseThrow().iommu.orElseThrow().type1();
    return switch (isolation) {
      case Isolation.Plain() -> container.emulatedPort(device.name(), machine.iommu()::report);
      case Isolation.Backed(Device function) -> machine.iommu().port(function);
      case Isolation.Aux(Device parent) -> {
        IommuDomain domain = container.domainOf(file.group().group).orElseThrow();
        yield machine.iommu().port(parent, domain);
      }
    };
  }
}
