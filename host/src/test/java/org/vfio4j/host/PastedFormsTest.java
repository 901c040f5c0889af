// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Forms of text that people paste, beside those of docs/reports, and what is told of them. */
class PastedFormsTest {

  private static String row(PciFunction f) {
    return f.address()
        + " "
        + fact(f.group())
        + " "
        + f.id().map(PciId::toString).orElse("?")
        + " "
        + f.classCode().map(PciClass::toString).orElse("?")
        + " "
        + fact(f.driver());
  }

  private static String fact(Fact<?> fact) {
    return fact.isUnknown() ? "?" : fact.isNone() ? "-" : fact.toString();
  }

  private static List<String> rows(String text) {
    return Samples.only(text).functions().stream().map(PastedFormsTest::row).toList();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IOMMU Group 7:\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "==== IOMMU group #7 ====\n  01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "--- Group 7 (1 device) ---\n* 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "**IOMMU Group 7**\n- 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "(7) 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "iommu_group=7 | 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "Group:  7   0000:01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n\tFlags: bus master, fast devsel,"
            + " latency 0, IRQ 16, IOMMU group 7\n",
        "Slot:\t01:00.0\nClass:\t3D controller [0302]\nVendor:\tImagined [1af4]\n"
            + "Device:\tThing [0201]\nIOMMUGroup:\t7\n",
        "/sys/kernel/iommu_groups/7/devices/0000:01:00.0 -> "
            + "../../../../devices/pci0000:00/0000:01:00.0\n01:00.0 0302: 1af4:0201\n",
        "$ ls /sys/kernel/iommu_groups/7/devices\n0000:01:00.0\n$ lspci -n\n"
            + "01:00.0 0302: 1af4:0201\n",
        "/sys/kernel/iommu_groups\n└── 7\n    ├── devices\n    │   └── 0000:01:00.0 ->"
            + " ../../../../devices/pci0000:00/0000:01:00.0\n    └── type\n"
            + "01:00.0 0302: 1af4:0201\n"
      })
  void shouldReadTheGroupWhereverItStands(String text) {
    assertThat(rows(text)).containsExactly("0000:01:00.0 7 1af4:0201 0302 ?");
    assertThat(Samples.only(text).losses()).isEmpty();
  }

  @Test
  void shouldReadTheGroupAtTheEndOfFlagsThatAreWrapped() {
    String head = "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n";
    assertThat(rows(head + "\tFlags: bus master, fast devsel,\nIOMMU group 7\n"))
        .containsExactly("0000:01:00.0 7 1af4:0201 0302 ?");
  }

  @Test
  void shouldJoinWhatOnePersonPastes() {
    HostTopology host =
        Samples.only(
            "root@pve:~# cat /proc/cmdline\nBOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve ro quiet"
                + " intel_iommu=on iommu=pt\n"
                + "root@pve:~# dmesg | grep -e DMAR\nDMAR: IOMMU enabled\n"
                + "root@pve:~# find /sys/kernel/iommu_groups -type l\n"
                + "/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n"
                + "root@pve:~# lspci -nnk\n"
                + "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "\tKernel driver in use: vfio-pci\n");
    assertThat(host.kernel()).contains("6.8.12-4-pve");
    assertThat(host.setup().signs())
        .containsExactlyInAnyOrder(
            IommuSign.ASKED_INTEL, IommuSign.PASS_THROUGH, IommuSign.OPTION_REPEATED);
    assertThat(row(host.functions().getFirst()))
        .isEqualTo("0000:01:00.0 1 1af4:0201 0302 vfio-pci");
  }

  @Test
  void shouldNotLetALineBetweenEndAFunction() {
    assertThat(
            rows(
                "01:00.0 Ethernet controller [0200]: Imagined [1af4:0201]\n\tIOMMU group: 17\n"
                    + "pcilib: sysfs_read_vpd: read failed: No such device\n"
                    + "\tKernel driver in use: r8169\n"))
        .containsExactly("0000:01:00.0 17 1af4:0201 0200 r8169");
  }

  @Test
  void shouldGiveTheDetailsBehindATitleToTheFunctionAboveIt() {
    String function = "01:00.0 Ethernet controller [0200]: Imagined [1af4:0201]\n";
    assertThat(rows(function + "\tFlags: fast devsel\n# the other host\n\tIOMMU group: 17\n"))
        .containsExactly("0000:01:00.0 17 1af4:0201 0200 ?");
  }

  @Test
  void shouldTellDetailsWhoseFunctionIsMissing() {
    HostTopology host =
        Samples.only(
            "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "\tSubsystem: Imagined [1af4:1100]\n\tKernel driver in use: vfio-pci\n"
                + "\tSubsystem: Imagined [1af4:1101]\n\tKernel driver in use: r8169\n");
    assertThat(row(host.functions().getFirst())).endsWith("vfio-pci");
    assertThat(host.losses()).extracting(Loss::line).containsExactly(4, 5);
    assertThat(host.losses()).extracting(Loss::reason).containsOnly(Loss.Reason.NO_HEAD);
  }

  @Test
  void shouldTellALineThatIsCutOffAndNotGuessItsId() {
    HostTopology host =
        Samples.only(
            "01:00.1 Audio device [0403]: Imagined High Definition Audio [10d\n"
                + "\tSubsystem: Imagined [1043:861e]\n\tKernel driver in use: snd_hda_intel\n");
    assertThat(row(host.functions().getFirst())).isEqualTo("0000:01:00.1 ? ? 0403 snd_hda_intel");
    assertThat(host.losses()).extracting(Loss::reason).containsExactly(Loss.Reason.CUT);
  }

  @Test
  void shouldCountWhatItDoesNotKnow() {
    HostTopology host =
        Samples.only(
            "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "the card in 02:00.0 hangs, and group 4 is odd\n");
    assertThat(host.losses())
        .containsExactly(
            new Loss(2, "the card in 02:00.0 hangs, and group 4 is odd", Loss.Reason.NOT_READ));
  }

  @Test
  void shouldSayNothingOfResetsWithoutAColumnForThem() {
    String line = "[1af4:0201] 01:00.0  3D controller  Thing\n";
    assertThat(Samples.only("IOMMU group 7:\n" + line).functions().getFirst().resettable())
        .isEmpty();
    assertThat(
            Samples.only(
                    "IOMMU group 7:\n" + line + "[1af4:0202] [R] 01:00.1  Audio device  Thing\n")
                .functions()
                .getFirst()
                .resettable())
        .contains(false);
  }

  @Test
  void shouldTakeNumbersOfLinesForNoGroups() {
    HostTopology host =
        Samples.only(
            "  1 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "  2 01:00.1 Audio device [0403]: Imagined [1af4:0202]\n");
    assertThat(host.groups()).isEmpty();
    assertThat(host.losses()).extracting(Loss::reason).containsExactly(Loss.Reason.AMBIGUOUS);
  }

  @Test
  void shouldTakeNumbersForGroupsWhereTheTableSaysSo() {
    HostTopology host =
        Samples.only(
            "| Group | Address | Device |\n|---|---|---|\n"
                + "| 1 | 0000:01:00.0 | 3D controller [0302]: Imagined [1af4:0201] |\n"
                + "| 2 | 0000:02:00.0 | 3D controller [0302]: Imagined [1af4:0201] |\n");
    assertThat(host.functions()).extracting(f -> fact(f.group())).containsExactly("1", "2");
  }

  @Test
  void shouldReadTheDriverInBracketsAtTheEnd() {
    assertThat(rows("Group 1: 01:00.0 0300: 10de:1b06 (rev a1)   [vfio-pci]\n"))
        .containsExactly("0000:01:00.0 1 10de:1b06 0300 vfio-pci");
  }

  @Test
  void shouldReadTheCommandLineOutOfALog() {
    HostTopology host =
        Samples.only(
            "May 06 08:41:02 pve kernel: Command line: root=/dev/sda1 ro intel_iommu=on\n"
                + "May 06 08:41:02 pve kernel: pci 0000:01:00.0: [1af4:0201] type 00 class"
                + " 0x030000\n");
    assertThat(host.setup().commandLine()).contains("root=/dev/sda1 ro intel_iommu=on");
    assertThat(host.setup().signs()).containsExactly(IommuSign.ASKED_INTEL);
  }

  @Test
  void shouldReadThePatternThatAShellLeavesAsNoGroups() {
    HostTopology host =
        Samples.only("IOMMU Group *:\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\n");
    assertThat(host.functions().getFirst().group().isNone()).isTrue();
  }

  @Test
  void shouldReadTheJsonOfLshwWhetherAListOrNot() {
    String device =
        "{\n"
            + " \"id\": \"display\", \"businfo\": \"pci@0000:01:00.0\",\n"
            + " \"description\": \"3D controller\", \"configuration\": {\"driver\":"
            + " \"nouveau\"}}\n";
    assertThat(rows(device)).hasSize(1);
    assertThat(rows("[\n" + device + "]\n")).isEqualTo(rows(device));
  }

  @Test
  void shouldReadDriverAndNumbersOfLshwInAllItsForms() {
    String block =
        "  *-display\n       description: 3D controller\n       product: Thing [6:0] [1AF4:C]\n"
            + "       vendor: Imagined [1AF4]\n       bus info: pci@0000:01:00.0\n"
            + "       configuration: driver=nouveau latency=0\n";
    assertThat(rows(block)).containsExactly("0000:01:00.0 ? 1af4:000c 0302 nouveau");
    String json =
        "{ \"businfo\": \"pci@0000:01:00.0\", \"claimed\": true,\n"
            + " \"description\": \"3D controller\", \"product\": \"Thing [6:0] [1AF4:C]\",\n"
            + " \"configuration\": {\"driver\": \"nouveau\"},\n"
            + " \"children\": [{\"id\": \"card0\", \"configuration\": {\"driver\": \"other\"}}]}\n";
    assertThat(rows(json)).isEqualTo(rows(block));
    assertThat(rows("pci@0000:01:00.0  /dev/fb0  display  Thing [6:0] [1AF4:C]\n"))
        .containsExactly("0000:01:00.0 ? 1af4:000c ? ?");
    assertThat(rows("pci@0000:01:00.0            bridge   to bus[E:B]\n"))
        .containsExactly("0000:01:00.0 ? ? ? ?");
  }

  @Test
  void shouldReadThePathOfBridgesThatLspciPrints() {
    HostTopology host =
        Samples.only(
            "0002:00:06.0 PCI bridge [0604]: Imagined [1af4:000c]\n"
                + "0002:00:06.0/02:01.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "\tKernel driver in use: vfio-pci\n");
    PciFunction below = Samples.function(host, "0002:02:01.0");
    assertThat(below.parent()).isEqualTo(Fact.known(PciAddress.parse("0002:00:06.0")));
    assertThat(below.driver()).isEqualTo(Fact.known("vfio-pci"));
  }

  /** The path without buses has no address: what is said of it is of no other function. */
  @Test
  void shouldGiveNobodyTheDetailsOfAFunctionWithoutAnAddress() {
    HostTopology host =
        Samples.only(
            "00:06.0 PCI bridge [0604]: Imagined [1af4:000c]\n"
                + "00:06.0/00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "\tKernel driver in use: vfio-pci\n");
    assertThat(host.functions())
        .singleElement()
        .extracting(f -> f.driver().isUnknown())
        .isEqualTo(true);
    assertThat(host.losses()).extracting(Loss::line).containsExactly(2, 3);
  }

  @Test
  void shouldReadTheNodeOfFlagsAndTheNumbersOfATree() {
    assertThat(
            Samples.function(
                    Samples.only(
                        "01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                            + "\tFlags: fast devsel, NUMA node 1, IOMMU group 7\n"),
                    "01:00.0")
                .numaNode())
        .isEqualTo(Fact.known(1));
    assertThat(
            rows(
                "-[0000:00]-+-00.0  Imagined Bridge [1af4:000c]\n"
                    + "           \\-01.0  Device [1af4:0201]\n"))
        .containsExactly("0000:00:00.0 ? 1af4:000c ? ?", "0000:00:01.0 ? 1af4:0201 ? ?");
  }

  @Test
  void shouldTakeARegionOnceAndAfterABlankLineToo() {
    String region = "0x00000000fee00000 0x00000000feefffff msi\n";
    String log = "[    4.476678] DMAR: RMRR base: 0x000000bdffd000 end: 0x000000bdffffff\n";
    HostTopology host =
        Samples.only(
            "/sys/kernel/iommu_groups/9/devices/0000:00:1f.3\n"
                + "$ cat /sys/kernel/iommu_groups/9/reserved_regions\n\n"
                + region
                + "\n"
                + region
                + log
                + log);
    assertThat(host.group(9).orElseThrow().reservedRegions().orElseThrow()).hasSize(1);
    assertThat(host.iommu().rmrrs().orElseThrow()).hasSize(1);
    assertThat(host.losses()).isEmpty();
  }

  @Test
  void shouldKnowThePromptOfVirsh() {
    HostTopology host =
        Samples.only(
            "virsh # nodedev-dumpxml pci_0000_01_00_0\n<device>\n  <name>pci_0000_01_00_0</name>\n"
                + "  <capability type='pci'>\n    <class>0x030200</class>\n"
                + "    <domain>0</domain>\n    <bus>1</bus>\n    <slot>0</slot>\n"
                + "    <function>0</function>\n  </capability>\n</device>\n");
    assertThat(host.functions()).hasSize(1);
    assertThat(host.losses()).isEmpty();
  }

  @Test
  void shouldTellAFunctionThatContradictsTheListing() {
    HostTopology host =
        Samples.only(
            "IOMMU Group 1:\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
                + "# Somebody else has\n\n01:00.0 3D controller [0302]: Imagined [1af4:0999]\n");
    assertThat(host.losses()).extracting(Loss::reason).contains(Loss.Reason.CONTRADICTED);
  }
}
