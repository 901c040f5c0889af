// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

class MapSourceTest {
  private record Part(long offset, long size) implements MapSource.File {}

  private record Function(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  /** An IOMMU in software has no descriptors: it says so, and nothing stays mapped. */
  @Test
  void shouldRefuseAFileWhereOnlyMemoryCanBeMapped() {
    SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    iommu.addDevice(group, new Function("0000:01:00.0"));
    try (Container vm =
        new Container("vm", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters())) {
      vm.attach(group);
      VfioException refused =
          catchThrowableOfType(
              VfioException.class,
              () ->
                  vm.map(
                      AddressSpace.pinnedByIommu(Part::new),
                      0x3000,
                      0x10000,
                      0x1000,
                      Container.MAP_READ));
      assertThat(refused.errno()).isEqualTo(Errno.ENODEV);
      assertThat(refused.reason()).isEqualTo(Reason.NOT_SUPPORTED);
      assertThat(refused).hasMessageContaining("0x1000 bytes at offset 0x3000");
      assertThat(vm.mappings()).isZero();
    }
  }
}
