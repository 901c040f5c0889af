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

  /** A VM that is only thought of: counted to the page, one leaf of the table where it fits. */
  @Test
  void shouldMapMemoryWithoutBytesAsOnePiece() {
    SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    Device function = new Function("0000:01:00.0");
    iommu.addDevice(group, function);
    AddressSpace memory = new AddressSpace();
    long size = 1L << 46;
    memory.imagine(1L << 20, size);
    try (Container vm =
        new Container("vm", iommu, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters())) {
      vm.attach(group);
      vm.map(memory, 1L << 20, 1L << 46, size, Container.MAP_READ);
      assertThat(memory.lockedPages()).isEqualTo(size / AddressSpace.PAGE);
      Mapping found = iommu.port(function).find((1L << 46) + 0x1234);
      assertThat(found.size()).isEqualTo(size);
      assertThat(found.memory().byteSize()).isZero();
      assertThat(vm.unmap(memory, 1L << 46, size)).isEqualTo(size);
      assertThat(memory.lockedPages()).isZero();
    }
  }

  @Test
  void shouldRefuseMemoryOfNoSize() {
    assertThat(
            catchThrowableOfType(
                IllegalArgumentException.class, () -> new AddressSpace().imagine(0, 0)))
        .hasMessage("not a size: 0");
  }
}
