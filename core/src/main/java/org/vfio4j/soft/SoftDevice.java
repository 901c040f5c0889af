// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.soft;

import java.util.List;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.vfio.DeviceFile;
import org.vfio4j.vfio.MachineLock;
import org.vfio4j.vfio.Vfio;

/** An open device of a {@link SoftMachine}. */
record SoftDevice(SoftMachine machine, Device device) implements DeviceFile {
  private static final int REGIONS = 9;
  private static final int IRQS = 5;

  @Override
  public Vfio.DeviceInfo info() {
    boolean resettable = !(device instanceof SoftFunction f) || f.resettable();
    return new Vfio.DeviceInfo(resettable ? 3 : 2, REGIONS, IRQS);
  }

  @Override
  public void reset() {
    if (device instanceof SoftFunction f && !f.resettable()) {
      throw new VfioException(
          Errno.EINVAL,
          Reason.NOT_SUPPORTED,
          f.name() + " has no way to be reset by itself",
          f.name());
    }
  }

  @Override
  public List<Vfio.Dependent> hotResetInfo() {
    if (!(device instanceof SoftFunction f)) {
      throw new VfioException(
          Errno.ENOTTY,
          Reason.UNKNOWN_CALL,
          device.name() + " is no PCI function: it has no such ioctl",
          device.name());
    }
    if (f.rootBus()) {
      throw new VfioException(
          Errno.ENODEV,
          Reason.NOT_SUPPORTED,
          f.name() + " is on a root bus, which cannot be reset",
          f.name());
    }
    try (MachineLock.Held _ = machine.core().lock().hold()) {
      return machine.functions().stream()
          .filter(o -> o.busNumber().equals(f.busNumber()))
          .map(o -> new Vfio.Dependent(group(o), o.name()))
          .toList();
    }
  }

  /** {@code vfio_pci_fill_devs}: nobody's users can be told of a function without a group. */
  private int group(SoftFunction function) {
    return machine
        .groupOf(function.name())
        .orElseThrow(
            () ->
                new VfioException(
                    Errno.EPERM,
                    Reason.NO_GROUP,
                    "%s would be reset too, and is in no IOMMU group".formatted(function.name()),
                    function.name()))
        .id();
  }

  @Override
  public int readConfig() {
    return device instanceof SoftFunction f ? f.device() << 16 | f.vendor() : -1;
  }

  @Override
  public void close() {
    machine.deviceClosed(device);
  }
}
