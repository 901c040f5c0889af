// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;
import org.vfio4j.host.input.BadInputException;

class LspciReaderTest {

  private final String verbose = Samples.text("verbose.lspci");

  @Test
  void shouldReadTheDetails() {
    HostTopology host = Samples.only(verbose);
    assertThat(host.origin()).isEqualTo(Origin.LSPCI);
    assertThat(host.functions()).hasSize(4);
    PciFunction port = Samples.function(host, "00:01.0");
    assertThat(port.classCode()).contains(PciClass.parse("060400"));
    assertThat(port.subsystem()).contains(PciId.parse("1af4:1100"));
    assertThat(port.headerType()).contains(HeaderType.BRIDGE);
    assertThat(port.pcieType()).contains(PcieType.ROOT_PORT);
    assertThat(port.acs()).isEqualTo(Fact.known(Acs.ofRegisters(0x0f, 0x0d)));
    assertThat(port.buses()).contains(new BusRange(1, 2));
    PciFunction accelerator = Samples.function(host, "01:00.0");
    assertThat(accelerator.parent()).isEqualTo(Fact.known(port.address()));
    assertThat(accelerator.numaNode()).isEqualTo(Fact.known(1));
    assertThat(accelerator.totalVfs()).contains(8);
    assertThat(accelerator.numVfs()).contains(2);
    assertThat(accelerator.acs().isNone()).isTrue();
    assertThat(accelerator.group()).isEqualTo(Fact.known(2));
  }

  @Test
  void shouldTellNoneFromUnknown() {
    HostTopology host = Samples.only(verbose);
    PciFunction accelerator = Samples.function(host, "01:00.0");
    assertThat(accelerator.driver().isNone()).isTrue();
    assertThat(accelerator.physicalFunction().isUnknown()).isTrue();
    assertThat(accelerator.resetMethods()).isEmpty();
    PciFunction audio = Samples.function(host, "01:00.1");
    assertThat(audio.group().isNone()).isTrue();
    assertThat(audio.acs().isUnknown()).isTrue();
    assertThat(audio.pcieType()).isEmpty();
    assertThat(Samples.function(host, "00:00.0").pcieType()).contains(PcieType.CONVENTIONAL);
    assertThat(host.iommu()).isEqualTo(IommuFacts.UNKNOWN);
    assertThat(host.roles()).isEqualTo(Roles.UNKNOWN);
  }

  /** As lspci 3.9 prints it: neither the version of the capability, nor what another has in it. */
  @Test
  void shouldReadTheCapabilitiesThatOneVNames() {
    HostTopology host =
        Samples.only(
            """
            00:1c.0 PCI bridge [0604]: Intel Corporation Root Port [8086:a338] (prog-if 00 [Normal decode])
            \tFlags: bus master, fast devsel, latency 0, IOMMU group 8
            \tBus: primary=00, secondary=04, subordinate=04, sec-latency=0
            \tCapabilities: [40] Express Root Port (Slot+), MSI 00
            \tCapabilities: [140] Access Control Services
            \tKernel driver in use: pcieport

            04:00.0 Ethernet controller [0200]: Intel Corporation I210 [8086:1533]
            \tFlags: bus master, fast devsel, latency 0, IOMMU group 9
            \tCapabilities: [a0] Express Endpoint, MSI 00
            \tCapabilities: [100] Advanced Error Reporting
            """);
    PciFunction port = Samples.function(host, "00:1c.0");
    assertThat(port.pcieType()).contains(PcieType.ROOT_PORT);
    assertThat(port.acs().isUnknown()).isTrue();
    PciFunction nic = Samples.function(host, "04:00.0");
    assertThat(nic.pcieType()).contains(PcieType.ENDPOINT);
    assertThat(nic.acs().isNone()).isTrue();
  }

  @Test
  void shouldLeaveDriversAndGroupsUnknownWhereNoLineNamesOne() {
    String plain = verbose.replaceAll("\\tKernel .*\\n", "").replaceAll("\\tIOMMU .*\\n", "");
    HostTopology host = Samples.only(plain);
    assertThat(host.functions()).allMatch(f -> f.driver().isUnknown() && f.group().isUnknown());
  }

  @Test
  void shouldReadNumbersAlone() {
    HostTopology host = Samples.only("00:1f.0 0601: 8086:0284\n00:1f.3 Class 0403: 8086:02c8\n");
    assertThat(host.functions()).hasSize(2);
    assertThat(Samples.function(host, "00:1f.3").classCode()).contains(PciClass.parse("0403"));
  }

  @Test
  void shouldTakeAListingThatBeginsAnewForAnotherHostWhereItIsOne() {
    String other = verbose.replace("1af4:0201", "1af4:0999");
    assertThat(Samples.parse(verbose + "\n" + other))
        .extracting(HostTopology::name)
        .containsExactly("listing-1", "listing-2");
    assertThat(Samples.only(verbose + "\n" + verbose)).isEqualTo(Samples.only(verbose));
  }

  @Test
  void shouldNotTakeASentenceForAFunction() {
    HostTopology host = Samples.only("0000:03:00.0 (the radio) is slow.\n\n" + verbose);
    assertThat(host.functions()).hasSize(4);
  }

  @Test
  void shouldRejectAnAddressThatIsListedTwice() {
    String twice = verbose.replace("01:00.1 Audio", "01:00.0 Audio");
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(twice))
        .withMessageMatching("file:[0-9]+: address: two functions have the address 0000:01:00.0");
  }

  @Test
  void shouldRejectAListingThatEndsInsideAnEntry() {
    String cut = verbose.substring(0, verbose.indexOf("[1af4:0202]"));
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(cut))
        .withMessageMatching("file:[0-9]+: .*cut off.*");
  }
}
