// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceLinksTest {
  private static final String NIC = "0000:01:00.0";
  private static final String MDEV = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

  @TempDir Path sys;

  @BeforeEach
  void aFunctionAndAMediatedDevice() throws IOException {
    Path nic = Files.createDirectories(sys.resolve("bus/pci/devices").resolve(NIC));
    Files.createSymbolicLink(nic.resolve("iommu_group"), Path.of("../kernel/iommu_groups/7"));
    Files.createSymbolicLink(nic.resolve("driver"), Path.of("../drivers/igb"));
    Path mdev = Files.createDirectories(sys.resolve("bus/mdev/devices").resolve(MDEV));
    Files.createSymbolicLink(mdev.resolve("iommu_group"), Path.of("../kernel/iommu_groups/12"));
    Files.createDirectories(sys.resolve("kernel/iommu_groups/7/devices").resolve(NIC));
  }

  @Test
  void shouldLookOnTheBusesItIsGivenOnly() {
    DeviceLinks both = new DeviceLinks(sys, "pci", "mdev");
    assertThat(both.group(NIC)).hasValue(7);
    assertThat(both.group(MDEV)).hasValue(12);
    DeviceLinks pci = new DeviceLinks(sys, "pci");
    assertThat(pci.folder(NIC)).isPresent();
    assertThat(pci.folder(MDEV)).isEmpty();
    assertThat(pci.group(MDEV)).isEmpty();
  }

  @Test
  void shouldFollowADeviceToItsDriver() {
    DeviceLinks links = new DeviceLinks(sys, "pci", "mdev");
    assertThat(links.driver(NIC)).hasValue("igb");
    assertThat(links.driver(MDEV)).isEmpty();
    assertThat(links.driver("0000:09:00.0")).isEmpty();
  }

  @Test
  void shouldListTheMembersOfAGroup() {
    DeviceLinks links = new DeviceLinks(sys, "pci");
    assertThat(links.members(7)).containsExactly(links.groupFolder(7).resolve("devices/" + NIC));
    assertThat(links.members(8)).isEmpty();
  }

  @Test
  void shouldTakeNoPathForAName() {
    DeviceLinks links = new DeviceLinks(sys, "pci");
    assertThat(links.folder("")).isEmpty();
    assertThat(links.folder("..")).isEmpty();
    assertThat(links.folder("../devices/" + NIC)).isEmpty();
  }
}
