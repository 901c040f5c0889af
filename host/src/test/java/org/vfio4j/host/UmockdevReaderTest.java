// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vfio4j.host.input.BadInputException;

class UmockdevReaderTest {

  private final String recording = Samples.text("small.umockdev");

  @Test
  void shouldReadAllThatTheRecordingSays() {
    HostTopology host = Samples.only(recording);
    assertThat(host.origin()).isEqualTo(Origin.UMOCKDEV);
    assertThat(host.functions()).hasSize(4);
    PciFunction port = Samples.function(host, "00:01.0");
    assertThat(port.headerType()).contains(HeaderType.BRIDGE);
    assertThat(port.pcieType()).contains(PcieType.ROOT_PORT);
    assertThat(port.acs()).isEqualTo(Fact.known(Acs.ofRegisters(0x1f, 0x1d)));
    assertThat(port.buses()).contains(new BusRange(1, 2));
    assertThat(port.driver()).isEqualTo(Fact.known("pcieport"));
    assertThat(port.numaNode().isNone()).isTrue();
    assertThat(port.parent().isNone()).isTrue();
    PciFunction graphics = Samples.function(host, "01:00.0");
    assertThat(graphics.id()).contains(PciId.parse("1af4:0201"));
    assertThat(graphics.subsystem()).contains(PciId.parse("1af4:0001"));
    assertThat(graphics.resetMethods()).contains(List.of("flr", "bus"));
    assertThat(graphics.totalVfs()).contains(4);
    assertThat(graphics.parent()).isEqualTo(Fact.known(port.address()));
    assertThat(graphics.iommuUnit()).contains("dmar0");
    assertThat(graphics.acs().isUnknown()).isTrue();
    assertThat(host.virtualFunctions(graphics.address())).hasSize(1);
    assertThat(host.iommu().addressWidth()).contains(39);
    assertThat(host.iommu().cacheCoherency()).contains(true);
  }

  @Test
  void shouldTellNoneFromUnknown() {
    HostTopology host = Samples.only(recording);
    PciFunction vf = Samples.function(host, "01:00.1");
    assertThat(vf.driver().isNone()).isTrue();
    assertThat(vf.headerType()).isEmpty();
    assertThat(vf.resettable()).contains(false);
    assertThat(Samples.function(host, "00:02.0").group().isNone()).isTrue();
    assertThat(host.iommu().interruptRemapping()).isEmpty();
    assertThat(host.roles().of(Role.MANAGEMENT_NETWORK)).isEmpty();
  }

  @Test
  void shouldReadMdevsRolesAndOtherMembers() {
    HostTopology host = Samples.only(recording);
    Mdev mdev = host.mdevs().getFirst();
    assertThat(mdev.group()).contains(3);
    assertThat(mdev.type()).contains("imagined-1");
    MdevOffers parent = host.mdevParent("0000:01:00.0").orElseThrow();
    assertThat(parent.types().getFirst().availableInstances()).contains(3);
    assertThat(parent.isolation()).isEmpty();
    assertThat(host.group(4).orElseThrow().otherMembers()).containsExactly("imagined.0");
    assertThat(host.rolesOf(PciAddress.parse("00:02.0"))).containsExactly(Role.BOOT_DISK);
    assertThat(host.rolesOf(PciAddress.parse("01:00.0"))).containsExactly(Role.CONSOLE);
  }

  @Test
  void shouldCallAHostPartialWhoseBridgeIsNotRecorded() {
    String cut = recording.substring(recording.indexOf("\n\n") + 2);
    assertThat(Samples.only(cut).partial()).isTrue();
    assertThat(Samples.only(recording).partial()).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "A: vendor=0x1af4\\n|X: y=z|not a line of a recording",
        "A: class=0x030000\\n|A: class=wrong\\n|no hex number",
        "H: config=|H: config=0|not a whole number of hex bytes",
        "kernel/iommu_groups/2|kernel/iommu_groups/x|no group number",
        "physfn=../0000:01:00.0|physfn=../nonsense|no PCI address",
        "A: device=0x0301\\n||missing: the recording is cut off",
        "0000:00:02.0|0000:00:01.0|two functions have the address 0000:00:01.0",
        "iommu_groups/3|iommu_groups/2|group 2 holds another device already",
        "A: numa_node=0\\n|A: numa_node=first\\n|no number"
      })
  void shouldRejectDamagedRecordings(String from, String to, String message) {
    String damaged =
        recording.replaceFirst(
            java.util.regex.Pattern.quote(from),
            java.util.regex.Matcher.quoteReplacement(to == null ? "# gone" : to));
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(damaged))
        .withMessageMatching("file:[0-9]+: [^\\n]*")
        .withMessageContaining(message);
  }

  @Test
  void shouldRejectARecordingThatIsCutInsideALine() {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(recording.substring(0, recording.length() - 9)))
        .withMessageContaining("cut off");
  }
}
