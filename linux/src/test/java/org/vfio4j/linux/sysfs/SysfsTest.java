// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.ReservedRegion;

class SysfsTest {
  private static final String NIC = "0000:01:00.0";
  private static final String BRIDGE = "0000:00:1c.0";

  @TempDir Path root;

  private Sysfs sysfs = new Sysfs(Path.of("/nowhere"));

  @BeforeEach
  void aGroupOfTwo() throws IOException {
    Path group = Files.createDirectories(root.resolve("kernel/iommu_groups/7"));
    Files.createDirectories(group.resolve("devices"));
    Files.writeString(
        group.resolve("reserved_regions"),
        """
        0x000000008d800000 0x000000008fffffff direct
        0x00000000fee00000 0x00000000feefffff msi
        0xfffffffffffff000 0xffffffffffffffff direct-relaxable
        """);
    device(NIC, group, "0x020000\n", "igb");
    device(BRIDGE, group, "0x060400\n", "pcieport");
    sysfs = new Sysfs(root);
  }

  private void device(String name, Path group, String pciClass, String driver) throws IOException {
    Path real = Files.createDirectories(root.resolve("devices").resolve(name));
    Files.createDirectories(root.resolve("bus/pci/devices"));
    Path drivers = Files.createDirectories(root.resolve("bus/pci/drivers").resolve(driver));
    Files.writeString(real.resolve("class"), pciClass);
    Files.createSymbolicLink(real.resolve("iommu_group"), group);
    Files.createSymbolicLink(real.resolve("subsystem"), root.resolve("bus/pci"));
    Files.createSymbolicLink(real.resolve("driver"), drivers);
    Files.createSymbolicLink(root.resolve("bus/pci/devices").resolve(name), real);
    Files.createSymbolicLink(group.resolve("devices").resolve(name), real);
  }

  @Test
  void shouldFindTheGroupOfADevice() {
    assertThat(sysfs.groupOf(NIC)).hasValue(7);
    assertThat(sysfs.groupOf("0000:09:00.0")).isEmpty();
    assertThat(sysfs.groupOf("../../kernel")).isEmpty();
    assertThat(sysfs.groupOf("..")).isEmpty();
    assertThat(sysfs.groupOf("")).isEmpty();
  }

  @Test
  void shouldListMembersWithTheirBus() {
    assertThat(sysfs.members(7))
        .containsExactly(
            new LinuxDevice(BRIDGE, Device.Bus.PCI), new LinuxDevice(NIC, Device.Bus.PCI));
    assertThat(sysfs.members(8)).isEmpty();
  }

  @Test
  void shouldReadReservedRegions() {
    assertThat(sysfs.regions(7))
        .containsExactly(
            new ReservedRegion(0x8d800000L, 0x8fffffffL, ReservedRegion.Type.DIRECT),
            new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI),
            new ReservedRegion(-4096, -1, ReservedRegion.Type.DIRECT_RELAXABLE));
    assertThat(sysfs.regions(8)).isEmpty();
  }

  /** B28: it was "no reserved regions", and a device was given memory that it cannot reach. */
  @Test
  void shouldNotTakeRegionsThatCannotBeReadForNone() throws IOException {
    Path file = root.resolve("kernel/iommu_groups/7/reserved_regions");
    Files.delete(file);
    // A folder in its place cannot be read, by root neither.
    Files.createDirectory(file);
    assertThatExceptionOfType(VfioException.class)
        .isThrownBy(() -> sysfs.regions(7))
        .withMessageContaining("cannot read " + file)
        .satisfies(refused -> assertThat(refused.refusal().errno()).isEqualTo(Errno.EIO));
  }

  /** B28: three odd fields were a NumberFormatException, any other line was passed over. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "0xfee0000z 0xfeefffff msi",
        "fee00000 feefffff msi",
        "0xfeefffff 0xfee00000 msi",
        "0xfee00000 0xfeefffff doorbell",
        "0xfee00000 0xfeefffff",
        ""
      })
  void shouldNameTheLineThatIsNoRegion(String line) throws IOException {
    Path file = root.resolve("kernel/iommu_groups/7/reserved_regions");
    Files.writeString(file, "0x000000008d800000 0x000000008fffffff direct\n" + line + "\n");
    assertThatExceptionOfType(VfioException.class)
        .isThrownBy(() -> sysfs.regions(7))
        .withMessageContaining(file + ":2: no reserved region: '" + line + "'");
  }

  @Test
  void shouldTellDriversOfTheHostFromOthers() throws IOException {
    assertThat(sysfs.driver(NIC)).hasValue("igb");
    assertThat(sysfs.hostDriven(NIC)).isTrue();
    assertThat(sysfs.hostDriven(BRIDGE)).isFalse();
    rebind("vfio-pci");
    assertThat(sysfs.hostDriven(NIC)).isFalse();
    assertThat(sysfs.offered(NIC)).isTrue();
    rebind("mlx5_vfio_pci");
    assertThat(sysfs.offered(NIC)).isTrue();
    rebind("pci-stub");
    assertThat(sysfs.hostDriven(NIC)).isFalse();
    assertThat(sysfs.offered(NIC)).isFalse();
    Files.delete(root.resolve("devices").resolve(NIC).resolve("driver"));
    assertThat(sysfs.driver(NIC)).isEmpty();
    assertThat(sysfs.hostDriven(NIC)).isFalse();
  }

  private void rebind(String driver) throws IOException {
    Path link = root.resolve("devices").resolve(NIC).resolve("driver");
    Files.delete(link);
    Files.createSymbolicLink(link, root.resolve("bus/pci/drivers").resolve(driver));
  }
}
