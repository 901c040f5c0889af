// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioRegionInfo;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.Region;

/**
 * The regions of a real function: as the kernel tells of them, with the descriptor beside each that
 * can be mapped.
 *
 * @param kernels what the kernel tells, by index
 * @param told what the client is told, by index
 */
record PassedRegions(List<VfioRegionInfo> kernels, List<Region> told) {
  /**
   * Asks for all of them.
   *
   * @param peers a descriptor of the device that the client gets; empty: it gets none, and nothing
   *     can be mapped
   */
  static PassedRegions of(DeviceCalls device, Optional<DeviceCalls> peers) {
    List<VfioRegionInfo> kernels = new ArrayList<>();
    List<Region> told = new ArrayList<>();
    for (int index = 0; index < Pci.REGIONS; index++) {
      VfioRegionInfo info = region(device, index);
      kernels.add(info);
      told.add(told(info, peers));
    }
    return new PassedRegions(List.copyOf(kernels), List.copyOf(told));
  }

  private static VfioRegionInfo region(DeviceCalls device, int index) {
    try {
      return device.region(index);
    } catch (VfioException none) {
      // VGA, of a function that has none.
      if (none.errno() != Errno.EINVAL) {
        throw none;
      }
      return new VfioRegionInfo(index, 0, 0, 0, List.of());
    }
  }

  private static Region told(VfioRegionInfo info, Optional<DeviceCalls> peers) {
    int rights = info.flags() & (Region.READ | Region.WRITE);
    boolean mapped = peers.isPresent() && !info.mappable().isEmpty();
    if (!mapped) {
      return new Region(info.size(), rights, List.of(), Optional.empty());
    }
    List<Region.Area> areas = new ArrayList<>();
    boolean msixMappable = false;
    for (VfioRegionInfo.Capability each : info.capabilities()) {
      if (each instanceof VfioRegionInfo.Capability.SparseMmap(List<VfioRegionInfo.Area> some)) {
        some.forEach(a -> areas.add(new Region.Area(a.offset(), a.size())));
      }
      msixMappable |= each instanceof VfioRegionInfo.Capability.MsixMappable;
    }
    Region.Memory memory = new Region.Memory(peers.orElseThrow().descriptor(), info.offset());
    int flags = rights | Region.MMAP;
    return new Region(info.size(), flags, areas, Optional.of(memory), msixMappable);
  }
}
