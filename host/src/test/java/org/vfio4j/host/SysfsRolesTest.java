// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the host itself uses of its functions (B11): every kind was let go by {@code bind}. */
class SysfsRolesTest {
  private static final String PCI = "sys/devices/pci0000:00/";
  private static final String VIRTUAL = "sys/devices/virtual/";
  private static final String NVME = PCI + "0000:00:02.0/nvme/nvme0/nvme0n1";
  private static final String SATA = PCI + "0000:00:03.0/ata1/host0/target0:0:0/0:0:0:0/block/sda";
  private static final String SATA2 = PCI + "0000:00:04.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb";
  private static final String ETH0 = PCI + "0000:00:05.0/net/eth0";
  private static final String ETH1 = PCI + "0000:00:06.0/net/eth1";

  private static final PciAddress BOOT = PciAddress.parse("0000:00:02.0");
  private static final PciAddress DISK = PciAddress.parse("0000:00:03.0");
  private static final PciAddress DISK2 = PciAddress.parse("0000:00:04.0");
  private static final PciAddress NIC = PciAddress.parse("0000:00:05.0");
  private static final PciAddress NIC2 = PciAddress.parse("0000:00:06.0");

  private static final String ROOT = "29 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n";
  private static final String ROUTES =
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

  @TempDir private Path root = Path.of("");

  @BeforeEach
  void build() throws IOException {
    tree()
        .function(PCI + "0000:00:02.0", "0x010802", 1)
        .function(PCI + "0000:00:03.0", "0x010601", 2)
        .function(PCI + "0000:00:04.0", "0x010601", 3)
        .function(PCI + "0000:00:05.0", "0x020000", 4)
        .function(PCI + "0000:00:06.0", "0x020000", 5)
        .block(NVME, "259:0")
        .block(NVME + "/nvme0n1p1", "259:1")
        .file(NVME + "/nvme0n1p1/partition", "1\n")
        .block(SATA, "8:0")
        .block(SATA + "/sda1", "8:1")
        .file(SATA + "/sda1/partition", "1\n")
        .block(SATA2, "8:16")
        .net(ETH0, false)
        .net(ETH1, false)
        .file("proc/self/mountinfo", ROOT)
        .file("proc/net/route", ROUTES);
  }

  private SysfsTree tree() {
    return new SysfsTree(root);
  }

  private Roles roles() {
    return tree().read().roles();
  }

  private void mounts(String more) throws IOException {
    tree().file("proc/self/mountinfo", ROOT + more);
  }

  private static Set<Role> openFor(HostTopology host, PciAddress function) {
    return host.roles().openFor(host.function(function).orElseThrow());
  }

  @Test
  void shouldTellAllRolesOfAHostThatShowsThem() {
    HostTopology host = tree().read();
    assertThat(host.rolesOf(BOOT)).containsExactly(Role.BOOT_DISK);
    for (PciAddress free : new PciAddress[] {DISK, DISK2, NIC, NIC2}) {
      assertThat(host.rolesOf(free)).isEmpty();
      assertThat(openFor(host, free)).isEmpty();
    }
  }

  @Test
  void shouldGuardADiskThatIsMountedAnywhere() throws IOException {
    mounts("40 29 8:1 / /srv/my\\040data rw - xfs /dev/sda1 rw\n");
    assertThat(roles().of(DISK)).containsExactly(Role.STORAGE);
    assertThat(roles().because(DISK)).containsExactly("sda1 is mounted on /srv/my data");
    assertThat(roles().of(DISK2)).isEmpty();
  }

  @Test
  void shouldGuardADiskThatSwaps() throws IOException {
    tree()
        .file(
            "proc/swaps",
            "Filename\tType\tSize\tUsed\tPriority\n"
                + "/dev/sda1 partition 1 0 -2\n/swapfile file 1 0 -3\n");
    assertThat(roles().of(DISK)).containsExactly(Role.STORAGE);
    assertThat(roles().because(DISK)).containsExactly("sda1 swaps");
    assertThat(roles().of(Role.STORAGE)).isPresent();
  }

  @Test
  void shouldGuardThePhysicalVolumesOfLvmInUseOrNot() throws IOException {
    tree()
        .block(VIRTUAL + "block/dm-0", "254:0")
        .file(VIRTUAL + "block/dm-0/dm/uuid", "LVM-abc\n")
        .file(VIRTUAL + "block/dm-0/dm/name", "vg-data\n")
        .made(VIRTUAL + "block/dm-0", SATA + "/sda1")
        .file("run/udev/data/b8:16", "E:ID_FS_TYPE=LVM2_member\n");
    assertThat(roles().of(DISK)).containsExactly(Role.STORAGE);
    assertThat(roles().because(DISK)).containsExactly("sda1 is an LVM physical volume of vg-data");
    assertThat(roles().of(DISK2)).containsExactly(Role.STORAGE);
    assertThat(roles().because(DISK2)).containsExactly("sdb is an LVM physical volume");
  }

  @Test
  void shouldGuardAllDisksBelowAnMdRaid() throws IOException {
    tree()
        .block(VIRTUAL + "block/md0", "9:0")
        .made(VIRTUAL + "block/md0", SATA + "/sda1")
        .made(VIRTUAL + "block/md0", SATA2);
    mounts("40 29 9:0 / /home rw - ext4 /dev/md0 rw\n");
    assertThat(roles().of(Role.STORAGE)).hasValueSatisfying(l -> assertThat(l).hasSize(2));
    assertThat(roles().because(DISK2)).contains("md0 is mounted on /home", "sdb is a part of md0");
  }

  @Test
  void shouldGuardThePartsOfABcache() throws IOException {
    tree()
        .block(VIRTUAL + "block/bcache0", "252:0")
        .made(VIRTUAL + "block/bcache0", SATA2)
        .folder(SATA + "/bcache");
    assertThat(roles().of(DISK)).containsExactly(Role.STORAGE);
    assertThat(roles().of(DISK2)).containsExactly(Role.STORAGE);
  }

  @Test
  void shouldFollowEncryptionOverLogicalVolumesDown() throws IOException {
    tree()
        .block(VIRTUAL + "block/dm-0", "254:0")
        .block(VIRTUAL + "block/dm-1", "254:1")
        .file(VIRTUAL + "block/dm-1/dm/name", "home\n")
        .made(VIRTUAL + "block/dm-0", SATA + "/sda1")
        .made(VIRTUAL + "block/dm-1", VIRTUAL + "block/dm-0");
    mounts("40 29 0:50 / /home rw - btrfs /dev/mapper/home rw\n");
    assertThat(roles().because(DISK)).contains("dm-1 is mounted on /home");
  }

  @Test
  void shouldGuardTheMembersOfAZfsPool() throws IOException {
    mounts("40 29 0:50 / /tank rw - zfs tank/data rw\n");
    tree()
        .folder("proc/spl/kstat/zfs/tank")
        .file("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n");
    assertThat(roles().of(DISK)).containsExactly(Role.STORAGE);
    assertThat(roles().of(Role.STORAGE)).isPresent();
  }

  @Test
  void shouldNotKnowWhichDisksAPoolHasWithoutUdev() throws IOException {
    tree().folder("proc/spl/kstat/zfs/tank");
    HostTopology host = tree().read();
    assertThat(openFor(host, DISK)).containsExactly(Role.STORAGE);
    assertThat(openFor(host, NIC)).isEmpty();
    assertThat(host.roles().of(Role.BOOT_DISK)).isPresent();
  }

  @Test
  void shouldFindTheDisksBelowARootOnZfs() throws IOException {
    tree().file("proc/self/mountinfo", "29 1 0:26 / / rw - zfs rpool/ROOT/debian rw\n");
    assertThat(openFor(tree().read(), DISK)).containsExactly(Role.BOOT_DISK, Role.STORAGE);
    tree().file("run/udev/data/b8:16", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n");
    assertThat(roles().of(Role.BOOT_DISK)).hasValueSatisfying(l -> assertThat(l).contains(DISK2));
  }

  @Test
  void shouldFindAllDisksBelowARootOnBtrfs() throws IOException {
    tree()
        .file("proc/self/mountinfo", "29 1 0:25 /@ / rw - btrfs /dev/sda1 rw\n")
        .link("sys/fs/btrfs/1234/devices/sda1", SATA + "/sda1")
        .link("sys/fs/btrfs/1234/devices/sdb", SATA2);
    assertThat(roles().of(DISK)).containsExactly(Role.BOOT_DISK);
    assertThat(roles().of(DISK2)).containsExactly(Role.BOOT_DISK);
  }

  @Test
  void shouldFindTheDisksBelowTheLayersOfAnOverlay() throws IOException {
    tree()
        .file(
            "proc/self/mountinfo",
            "20 1 8:16 / /run/medium rw - iso9660 /dev/sdb ro\n"
                + "29 1 0:40 / / rw - overlay overlay"
                + " rw,lowerdir=/run/medium/root,upperdir=/run/medium/up,workdir=/w\n");
    assertThat(roles().of(DISK2)).containsExactly(Role.BOOT_DISK);
    assertThat(roles().of(Role.BOOT_DISK)).isPresent();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "29 1 0:40 / / rw - overlay overlay rw,lowerdir=/elsewhere/a,upperdir=/elsewhere/b\n",
        "29 1 0:40 / / rw - overlay overlay rw\n",
        "29 1 0:40 / / rw - virtiofs rootfs rw\n",
        "29 1 0:40 / / rw - 9p root rw\n",
        "29 1 7:9 / / rw - ext4 /dev/gone rw\n",
        "30 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n",
      })
  void shouldNotKnowTheBootDiskOfARootThatCannotBeTraced(String mounts) throws IOException {
    tree().file("proc/self/mountinfo", mounts);
    HostTopology host = tree().read();
    assertThat(host.roles().of(Role.BOOT_DISK)).isEmpty();
    assertThat(openFor(host, DISK2)).contains(Role.BOOT_DISK);
  }

  @ParameterizedTest
  @ValueSource(strings = {"rootfs rootfs", "tmpfs tmpfs", "nfs4 server:/export"})
  void shouldKnowThatARootWithoutADiskHasNone(String what) throws IOException {
    tree().file("proc/self/mountinfo", "29 1 0:2 / / rw - " + what + " rw\n");
    assertThat(roles().of(Role.BOOT_DISK)).hasValueSatisfying(l -> assertThat(l).isEmpty());
  }

  /** Unbinding the VMD takes away the disks behind it. */
  @Test
  void shouldGuardAFunctionAboveTheOneThatCarries() throws IOException {
    String vmd = PCI + "0000:00:0e.0";
    String below = vmd + "/pci10000:e0/10000:e0:06.0/10000:e1:00.0";
    tree()
        .function(vmd, "0x010400", 7)
        .function(vmd + "/pci10000:e0/10000:e0:06.0", "0x060400", 7)
        .function(below, "0x010802", 7)
        .block(below + "/nvme/nvme1/nvme1n1", "259:9");
    mounts("40 29 259:9 / /var rw - ext4 /dev/nvme1n1 rw\n");
    HostTopology host = tree().read();
    assertThat(host.rolesOf(PciAddress.parse("0000:00:0e.0"))).containsExactly(Role.STORAGE);
    assertThat(host.rolesOf(PciAddress.parse("10000:e1:00.0"))).containsExactly(Role.STORAGE);
    assertThat(host.rolesOf(PciAddress.parse("10000:e0:06.0"))).isEmpty();
  }

  @Test
  void shouldGuardAnInterfaceThatIsUpAndHasAnAddress() throws IOException {
    String routes = ROUTES + "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    tree().file("proc/net/route", routes);
    assertThat(roles().of(NIC)).as("down").isEmpty();
    tree().file(ETH0 + "/flags", "0x1003\n");
    assertThat(roles().of(NIC)).containsExactly(Role.NETWORK);
    assertThat(roles().because(NIC)).containsExactly("eth0 is up and in use");
    assertThat(roles().of(NIC2)).isEmpty();
  }

  @Test
  void shouldGuardAnInterfaceWithAnAddressOfIpVersion6Only() throws IOException {
    tree()
        .file(ETH1 + "/flags", "0x1003\n")
        .file("proc/net/if_inet6", "fe800000000000000000000000000001 03 40 20 80     eth1\n");
    assertThat(roles().of(NIC2)).containsExactly(Role.NETWORK);
  }

  @Test
  void shouldFindTheManagementNetworkOfADefaultRouteOfIpVersion6() throws IOException {
    String zeros = "0".repeat(32);
    String none = zeros + " 00 " + zeros + " 00 ";
    tree()
        .file(
            "proc/net/ipv6_route",
            none
                + "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n"
                + none
                + zeros
                + " ffffffff 00000001 00000000 00200200       lo\n");
    assertThat(roles().of(NIC2)).containsExactly(Role.MANAGEMENT_NETWORK);
    assertThat(roles().because(NIC2)).contains("eth1 has a default route");
  }

  @Test
  void shouldKnowThatAHostWithoutADefaultRouteIsManagedThroughNone() {
    assertThat(roles().of(Role.MANAGEMENT_NETWORK))
        .hasValueSatisfying(l -> assertThat(l).isEmpty());
  }

  @ParameterizedTest
  @CsvSource({"br0", "bond0", "eth0.7", "macvlan0"})
  void shouldFollowWhatLiesOnInterfacesDown(String upper) throws IOException {
    String above = VIRTUAL + "net/" + upper;
    tree()
        .net(above, true)
        .over(above, ETH0)
        .over(above, ETH1)
        .file(
            "proc/net/route",
            ROUTES + upper + "\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    assertThat(roles().of(NIC)).containsExactly(Role.NETWORK);
    assertThat(roles().of(NIC2)).containsExactly(Role.NETWORK);
  }

  /** The bridge of Open vSwitch that has the address shows no link to its ports. */
  @Test
  void shouldGuardAnInterfaceThatIsAPartOfAnother() throws IOException {
    tree()
        .net(VIRTUAL + "net/ovs-system", false)
        .net(VIRTUAL + "net/br-ex", true)
        .file(ETH0 + "/flags", "0x1003\n")
        .link(ETH0 + "/master", VIRTUAL + "net/ovs-system")
        .file(
            "proc/net/route",
            ROUTES + "br-ex\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    HostTopology host = tree().read();
    assertThat(host.rolesOf(NIC)).containsExactly(Role.NETWORK);
    assertThat(openFor(host, NIC2)).containsExactly(Role.MANAGEMENT_NETWORK);
  }

  /** A virtual function goes when the driver of its physical function does. */
  @Test
  void shouldGuardThePhysicalFunctionOfAVirtualOne() throws IOException {
    String vf = PCI + "0000:00:05.1";
    tree()
        .function(vf, "0x020000", 6)
        .link(vf + "/physfn", PCI + "0000:00:05.0")
        .net(vf + "/net/eth5", true)
        .file(
            "proc/net/route",
            ROUTES + "eth5\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    assertThat(roles().of(PciAddress.parse("0000:00:05.1")))
        .containsExactly(Role.MANAGEMENT_NETWORK);
    assertThat(roles().of(NIC)).containsExactly(Role.MANAGEMENT_NETWORK);
  }

  @Test
  void shouldKnowNoRoleOfACopyOfSysfsAlone() {
    HostTopology host = HostSource.read(root.resolve("sys")).getFirst();
    assertThat(openFor(host, DISK)).containsExactly(Role.BOOT_DISK, Role.STORAGE);
    assertThat(openFor(host, NIC)).containsExactly(Role.MANAGEMENT_NETWORK, Role.NETWORK);
  }
}
