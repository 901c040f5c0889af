// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

/** Reads a machine that is built of files and links in a folder. */
class SysfsReaderTest {

  private static final String PORT = "sys/devices/pci0000:00/0000:00:01.0";
  private static final String DISK = "sys/devices/pci0000:00/0000:00:02.0";
  private static final String NIC = PORT + "/0000:01:00.0";
  private static final String VF = PORT + "/0000:01:00.1";
  private static final String UUID = "c0ffee00-0000-4000-8000-000000000001";

  @TempDir private Path root;

  @BeforeEach
  void build() throws IOException {
    function(PORT, "0x060400", 0);
    link(PORT + "/driver", "sys/bus/pci/drivers/pcieport");
    function(NIC, "0x020000", 1);
    file(NIC + "/boot_vga", "0\n");
    file(NIC + "/reset_method", "flr bus\n");
    file(NIC + "/sriov_numvfs", "1\n");
    file(NIC + "/sriov_totalvfs", "8\n");
    file(NIC + "/numa_node", "-1\n");
    file(NIC + "/mdev_supported_types/one/available_instances", "2\n");
    file(NIC + "/net/eth0/address", "00:00:00:00:00:01\n");
    function(VF, "0x020000", 2);
    link(VF + "/physfn", NIC);
    file(DISK + "/class", "0x010802\n");
    file(DISK + "/vendor", "0x1af4\n");
    file(DISK + "/device", "0x0301\n");
    link("sys/bus/pci/devices/0000:00:02.0", DISK);
    file(DISK + "/nvme/nvme0/nvme0n1/nvme0n1p2/partition", "2\n");
    file("sys/kernel/iommu_groups/1/type", "DMA\n");
    file(
        "sys/kernel/iommu_groups/1/reserved_regions",
        "0x00000000fee00000 0x00000000feefffff msi\n");
  }

  private void function(String path, String classCode, int group) throws IOException {
    new SysfsTree(root).function(path, classCode, group);
  }

  private void file(String name, String text) throws IOException {
    new SysfsTree(root).file(name, text);
  }

  private void link(String name, String target) throws IOException {
    new SysfsTree(root).link(name, target);
  }

  private HostTopology read() {
    return HostSource.read(root).getFirst();
  }

  @Test
  void shouldReadFunctionsAndGroups() {
    HostTopology host = read();
    assertThat(host.functions()).hasSize(4);
    assertThat(host.partial()).isFalse();
    PciFunction nic = Samples.function(host, "01:00.0");
    assertThat(nic.parent()).isEqualTo(Fact.known(PciAddress.parse("00:01.0")));
    assertThat(nic.driver().isNone()).isTrue();
    assertThat(nic.resetMethods()).contains(List.of("flr", "bus"));
    assertThat(nic.numaNode().isNone()).isTrue();
    assertThat(Samples.function(host, "00:01.0").driver()).isEqualTo(Fact.known("pcieport"));
    assertThat(Samples.function(host, "00:01.0").parent().isNone()).isTrue();
    assertThat(Samples.function(host, "00:02.0").group().isNone()).isTrue();
    assertThat(host.virtualFunctions(nic.address())).hasSize(1);
    HostGroup group = host.group(1).orElseThrow();
    assertThat(group.type()).contains("DMA");
    assertThat(group.reservedRegions())
        .contains(List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI)));
  }

  @Test
  void shouldReadASysfsWithoutTheRestOfTheMachine() {
    assertThat(HostSource.read(root.resolve("sys")).getFirst().functions()).hasSize(4);
  }

  @Test
  void shouldLeaveUnknownWhatIsNotThere() {
    HostTopology host = read();
    assertThat(host.kernel()).isEmpty();
    assertThat(host.iommu()).isEqualTo(IommuFacts.UNKNOWN);
    assertThat(host.roles().of(Role.BOOT_DISK)).isEmpty();
    assertThat(host.roles().of(Role.MANAGEMENT_NETWORK)).isEmpty();
    assertThat(host.roles().of(Role.CONSOLE)).contains(List.of());
    assertThat(Samples.function(host, "01:00.0").headerType()).isEmpty();
  }

  @Test
  void shouldReadMdevs() throws IOException {
    file(NIC + "/" + UUID + "/uevent", "");
    link("sys/bus/mdev/devices/" + UUID, NIC + "/" + UUID);
    link(NIC + "/" + UUID + "/iommu_group", "sys/kernel/iommu_groups/9");
    link(NIC + "/" + UUID + "/mdev_type", NIC + "/mdev_supported_types/one");
    link("sys/kernel/iommu_groups/9/devices/" + UUID, NIC + "/" + UUID);
    HostTopology host = read();
    Mdev mdev = host.mdevs().getFirst();
    assertThat(mdev.parentAddress()).contains(PciAddress.parse("01:00.0"));
    assertThat(mdev.group()).contains(9);
    assertThat(mdev.type()).contains("one");
    assertThat(mdev.driver().isNone()).isTrue();
    assertThat(host.group(9)).isEmpty();
    MdevType type = host.mdevParent("0000:01:00.0").orElseThrow().types().getFirst();
    assertThat(type.availableInstances()).contains(2);
  }

  @Test
  void shouldFindTheBootDiskThroughALogicalVolume() throws IOException {
    link("sys/dev/block/254:0", "sys/devices/virtual/block/dm-0");
    String volume = "sys/devices/virtual/block/dm-0";
    link(volume + "/slaves/nvme0n1p2", DISK + "/nvme/nvme0/nvme0n1/nvme0n1p2");
    file("proc/self/mountinfo", "29 1 254:0 / / rw,relatime - ext4 /dev/mapper/root rw\n");
    assertThat(read().roles().of(Role.BOOT_DISK)).contains(List.of(PciAddress.parse("00:02.0")));
  }

  @Test
  void shouldFindTheBootDiskByNameWhereTheNumberIsAnonymous() throws IOException {
    link("sys/class/block/nvme0n1p2", DISK + "/nvme/nvme0/nvme0n1/nvme0n1p2");
    file("proc/self/mountinfo", "29 1 0:25 /@ / rw,relatime - btrfs /dev/nvme0n1p2 rw\n");
    assertThat(read().rolesOf(PciAddress.parse("00:02.0"))).containsExactly(Role.BOOT_DISK);
  }

  @Test
  void shouldFindTheManagementNetworkThroughABridge() throws IOException {
    link("sys/class/net/br0", "sys/devices/virtual/net/br0");
    link("sys/devices/virtual/net/br0/lower_eth0", NIC + "/net/eth0");
    file(
        "proc/net/route",
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
            + "br0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n"
            + "eth9\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n");
    assertThat(read().rolesOf(PciAddress.parse("01:00.0")))
        .containsExactly(Role.MANAGEMENT_NETWORK);
  }

  @Test
  void shouldReadTheIommuAndTheKernel() throws IOException {
    file("sys/class/iommu/dmar0/intel-iommu/cap", "d2008c40660462\n");
    file("sys/class/iommu/dmar0/intel-iommu/ecap", "f050da\n");
    file("sys/class/iommu/dmar1/intel-iommu/cap", "d20780106f0462\n");
    file("sys/class/iommu/dmar1/intel-iommu/ecap", "f0205a\n");
    file("sys/kernel/irq/24/chip_name", "IR-PCI-MSI\n");
    file("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
    file("sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
    file("proc/sys/kernel/osrelease", "6.1.0-imagined\n");
    HostTopology host = read();
    assertThat(host.kernel()).contains("6.1.0-imagined");
    assertThat(host.iommu().interruptRemapping()).contains(true);
    assertThat(host.iommu().addressWidth()).contains(39);
    assertThat(host.iommu().cacheCoherency()).contains(false);
    assertThat(host.iommu().pageSizes()).contains(List.of(4096L));
    assertThat(host.iommu().allowUnsafeInterrupts()).contains(false);
    assertThat(host.iommu().dmaEntryLimit()).contains(65535L);
  }

  @Test
  void shouldNameTheFileOfADamagedAttribute() throws IOException {
    file(NIC + "/class", "what\n");
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(this::read)
        .withMessage(root + ": bus/pci/devices/0000:01:00.0: class: no hex number: 'what'");
  }
}
