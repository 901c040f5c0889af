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

class LogReaderTest {

  private final List<HostTopology> boots = Samples.parse(Samples.text("boots.dmesg"));

  @Test
  void shouldReadTwoBootsAsTwoHosts() {
    assertThat(boots).extracting(HostTopology::name).containsExactly("boot-1", "boot-2");
    assertThat(boots)
        .extracting(h -> h.kernel().orElseThrow())
        .containsExactly("6.1.0-imagined", "6.12.0-imagined");
    assertThat(boots.get(1).groups()).hasSize(2);
  }

  @Test
  void shouldReadWhatTheLogSays() {
    HostTopology host = boots.getFirst();
    PciFunction port = Samples.function(host, "00:01.0");
    assertThat(port.headerType()).contains(HeaderType.BRIDGE);
    assertThat(port.pcieType()).contains(PcieType.ROOT_PORT);
    PciFunction endpoint = Samples.function(host, "01:00.0");
    assertThat(endpoint.parent()).isEqualTo(Fact.known(port.address()));
    assertThat(endpoint.classCode()).contains(PciClass.parse("030200"));
    assertThat(endpoint.driver().isUnknown()).isTrue();
    assertThat(host.group(1).orElseThrow().otherMembers()).containsExactly("imagined.0");
    assertThat(host.iommu().interruptRemapping()).contains(true);
    assertThat(host.iommu().addressWidth()).contains(39);
    assertThat(host.iommu().cacheCoherency()).contains(false);
  }

  @Test
  void shouldFollowADeviceThatLeavesItsGroup() {
    assertThat(Samples.function(boots.getFirst(), "01:00.0").group()).isEqualTo(Fact.known(2));
  }

  @Test
  void shouldTieAnRmrrToTheDeviceThatTheLogNames() {
    ReservedRegion region =
        new ReservedRegion(0x8c63c000L, 0x8c65bfffL, ReservedRegion.Type.DIRECT);
    HostTopology host = boots.getFirst();
    assertThat(host.iommu().rmrrs()).contains(List.of(region));
    PciFunction endpoint = Samples.function(host, "01:00.0");
    assertThat(endpoint.identityMaps()).containsExactly(region);
    assertThat(endpoint.rmrrLocked()).contains(true);
    PciFunction port = Samples.function(host, "00:01.0");
    assertThat(port.identityMaps()).isEmpty();
    assertThat(port.rmrrLocked()).isEmpty();
  }

  @Test
  void shouldSaveTheAddressOutOfADamagedLine() {
    HostTopology host =
        Samples.only(
            "[   20000:20:00.0: Adding to iommu group 26\n"
                + "[   25.416b.0: Adding to iommu group 57\n"
                + "[   24.4] pci 0000:1f:0b.0: Adding to iommu 70] pci 0000:1f:0b.3: Adding to"
                + " iommu group 46\n");
    assertThat(host.functions())
        .extracting(f -> f.address().toString())
        .containsExactly("0000:1f:0b.3", "0000:20:00.0");
    assertThat(host.groups()).hasSize(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[    1.0",
        "[    1.000001] pc",
        "[    1.000001] pci 0000:0",
        "[    1.000001] pci 0000:02:00.0: Add",
        "[    1.000001] pci 0000:02:00.0: Adding to iommu group"
      })
  void shouldRejectALogThatEndsInsideALine(String end) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(
            () -> Samples.parse("[    1.000000] pci 0000:01:00.0: Adding to iommu group 7\n" + end))
        .withMessageMatching("file:2: .*cut off.*");
  }
}
