// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

class ListingReaderTest {

  @Test
  void shouldReadHeadingsAsHosts() {
    List<HostTopology> hosts = Samples.parse(Samples.text("boards.md"));
    assertThat(hosts).extracting(HostTopology::name).containsExactly("first-board", "second-board");
    HostTopology first = hosts.get(0);
    assertThat(first.functions()).hasSize(3);
    assertThat(first.groupOf(PciAddress.parse("01:00.1")).orElseThrow().members()).hasSize(2);
    assertThat(Samples.function(first, "01:00.1").id()).contains(PciId.parse("1af4:0202"));
    HostTopology second = hosts.get(1);
    assertThat(second.group(0).orElseThrow().members()).hasSize(3);
    assertThat(Samples.function(second, "01:00.0").resettable()).contains(true);
    assertThat(Samples.function(second, "01:00.1").resettable()).contains(false);
    assertThat(Samples.function(second, "01:00.1").classCode()).contains(PciClass.parse("0403"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IOMMU Group 7 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "iommu group 7 01:00.0 3D controller [0302]: Imagined [1af4:0201] (rev a1)\n",
        "IOMMU Group 7:\n\t0000:01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "IOMMU group 7\n01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "IOMMU: dmar0\n  IOMMU Group: 7\n"
            + "    Group Device: 0000:01:00.0 - 3D controller [0302]: Imagined [1af4:0201]\n",
        "Group 7:  [1af4:0201] [R] 01:00.0  3D controller          Imagined\n",
        "IOMMU Group 7:\n\t01:00.0 3D controller: Imagined\n",
        "IOMMU Group 7:\n\t01:00.0\n",
        "IOMMU Group 7 0000:01:00.0 [1af4:0201]\n",
        "/sys/kernel/iommu_groups/7/devices/0000:01:00.0\n",
        "[    1.000000] pci 0000:01:00.0: Adding to iommu group 7\n",
        "Nov 22 10:00:00 host kernel: pci 0000:01:00.0: Adding to iommu group 7\n",
        "[    1.000000] iommu: Adding device 0000:01:00.0 to group 7\n",
        "> IOMMU Group 7:\n> \t01:00.0 3D controller [0302]: Imagined\n> [1af4:0201]\n",
        "IOMMU Group 7:\r\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\r\n"
      })
  void shouldReadEveryShapeOfAGroup(String text) {
    HostTopology host = Samples.only(text);
    assertThat(host.groups()).hasSize(1);
    assertThat(host.group(7).orElseThrow().members()).containsExactly(PciAddress.parse("01:00.0"));
    assertThat(host.functions().getFirst().driver().isUnknown()).isTrue();
  }

  @Test
  void shouldReadReservedRegions() {
    HostTopology host =
        Samples.only(
            "/sys/kernel/iommu_groups/9/devices/0000:00:1f.0\n"
                + "$ cat /sys/kernel/iommu_groups/9/reserved_regions\n"
                + "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
                + "0x00000000fee00000 0x00000000feefffff msi\n");
    assertThat(host.group(9).orElseThrow().reservedRegions())
        .contains(
            List.of(
                new ReservedRegion(0, 0xffffff, ReservedRegion.Type.DIRECT_RELAXABLE),
                new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI)));
  }

  @Test
  void shouldReadSentencesThatNameKernelsAsHosts() {
    String entry = ":\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\n";
    List<HostTopology> hosts =
        Samples.parse(
            "With kernel 5.8 it is so:\nIOMMU Group 1"
                + entry
                + "\nKernel 5.9:\n\nIOMMU Group 2"
                + entry);
    assertThat(hosts).extracting(HostTopology::name).containsExactly("kernel-5.8", "kernel-5.9");
    assertThat(hosts).extracting(h -> h.kernel().orElseThrow()).containsExactly("5.8", "5.9");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IOMMU Group 1 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n"
            + "IOMMU Group 2 01:00.0 3D controller [0302]: Imagined [1af4:0201]\n",
        "/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n"
            + "/sys/kernel/iommu_groups/2/devices/0000:01:00.0\n",
        "[    1.000000] pci 0000:01:00.0: Adding to iommu group 1\n"
            + "[    1.500000] pci 0000:01:00.0: Adding to iommu group 2\n"
      })
  void shouldRejectADeviceInTwoGroups(String text) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(text + "IOMMU Group 3 02:00.0 0302: 1af4:0201\n"))
        .withMessage("file:2: group: 0000:01:00.0 is in two groups: 1 and 2");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IOMMU Group 1:\n\t01:00.0 3D contr",
        "IOMMU Group 1:\n\t01:00.0 3D controller [0302]: Imag",
        "IOMMU Group 1:\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\nIOMMU Group 2:\n",
        "IOMMU Group 1:\n\t01:00.0 3D controller [0302]: Imagined [1af4:0201]\n\t01:0",
      })
  void shouldRejectAListingThatIsCutOff(String text) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(text))
        .withMessageMatching("file:[0-9]+: .*cut off.*");
  }
}
