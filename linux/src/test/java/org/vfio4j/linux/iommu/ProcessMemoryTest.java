// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

class ProcessMemoryTest {
  private static final long SIZE = 0x3000;
  private static final long IOVA = 0x10000;

  @Test
  void shouldMapAddressesOfThisProcessAndCountNothing() {
    SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    LinuxDevice device = LinuxDevice.pci("0000:00:02.0");
    iommu.addDevice(group, device);
    AddressSpace memory = ProcessMemory.create();
    memory.limit(0);
    memory.ipcLock(false);
    try (MappedMemory buffer = MappedMemory.anonymous(SystemCalls.libc(), SIZE);
        Container container =
            new Container("c", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters())) {
      container.attach(group);
      container.map(memory, buffer.address(), IOVA, SIZE, Container.MAP_READ);
      assertThat(memory.lockedPages()).isZero();
      buffer.segment().fill((byte) 7);
      byte[] read = new byte[(int) SIZE];
      iommu.port(device).read(IOVA, MemorySegment.ofArray(read));
      assertThat(read).containsOnly(7);
      assertThat(container.unmap(memory, IOVA, SIZE)).isEqualTo(SIZE);
      assertThat(memory.lockedPages()).isZero();
    }
  }
}
