// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.util.List;
import org.vfio4j.iommu.Device;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioConstants;
import org.vfio4j.vfio.DeviceFile;
import org.vfio4j.vfio.Vfio;

/**
 * An open device of a {@link LinuxMachine}: its own or, of a wrapped one, the function's.
 *
 * @param calls the descriptor, for who drives the device
 */
public record LinuxDeviceFile(LinuxMachine machine, Device device, DeviceCalls calls)
    implements DeviceFile {

  @Override
  public Vfio.DeviceInfo info() {
    return calls.info();
  }

  @Override
  public void reset() {
    calls.reset();
  }

  @Override
  public List<Vfio.Dependent> hotResetInfo() {
    return calls.hotResetInfo();
  }

  @Override
  public int readConfig() {
    return calls.readInt(calls.region(VfioConstants.VFIO_PCI_CONFIG_REGION_INDEX), 0);
  }

  @Override
  public void close() {
    try {
      calls.close();
    } finally {
      machine.closed(device);
    }
  }
}
