// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;

/** What no call refuses: said where the source says so, and nowhere else. */
class WarningsTest {

  private static final String CARD = "0000:01:00.0";

  private static HostTopology host(String driver, String signs, String commandLine) {
    String json =
        """
        {"vfio4j-capture":3,"name":"small","origin":"manual","commandLine":"%s",
        "iommu":{"interruptRemapping":true,"addressWidth":48},
        "roles":{"bootDisk":[],"managementNetwork":[],"console":[],"storage":[],"network":[]},
        "functions":[{"address":"%s","id":"8086:1521","class":"030000","header":"normal",
        "driver":"%s","group":1,"physfn":null,"parent":null%s}],
        "groups":[{"id":1}]}
        """
            .formatted(commandLine, CARD, driver, signs);
    return HostSource.parse("small.json", "small", json.getBytes(StandardCharsets.UTF_8))
        .getFirst();
  }

  private static List<Warning> warnings(HostTopology host) {
    Request request = Request.of(VmRequest.of("vm").plus(DeviceRequest.whole(CARD)));
    return Check.verdict(request, host, Options.DEFAULT).warnings();
  }

  private static List<Warning> warnings(String driver, String signs, String commandLine) {
    return warnings(host(driver, signs, commandLine));
  }

  @Test
  void shouldWarnOfADeviceThatDoesNotAnswer() {
    assertThat(warnings("vfio-pci", ",\"signs\":[\"no-answer\"]", ""))
        .singleElement()
        .satisfies(
            w -> {
              assertThat(w.kind()).isEqualTo(Warning.Kind.NO_ANSWER);
              assertThat(w.message()).contains("disable_idle_d3=1", "d3cold_allowed", CARD);
            });
  }

  @Test
  void shouldWarnOfABarThatTheHostHolds() {
    assertThat(warnings("vfio-pci", ",\"signs\":[\"bar-held\"]", "quiet video=efifb:off"))
        .singleElement()
        .satisfies(
            w -> {
              assertThat(w.kind()).isEqualTo(Warning.Kind.BOOT_FRAMEBUFFER);
              assertThat(w.message()).contains("initcall_blacklist=sysfb_init", "simpledrm");
            });
  }

  @Test
  void shouldWarnOfADriverThatComesBeforeTheIdsOfVfioPci() {
    assertThat(warnings("igb", "", "vfio-pci.ids=10de:2204,8086:1521"))
        .singleElement()
        .satisfies(
            w -> {
              assertThat(w.kind()).isEqualTo(Warning.Kind.TAKEN_AT_BOOT);
              assertThat(w.message()).contains("softdep igb pre: vfio-pci", "initramfs");
            });
  }

  @Test
  void shouldWarnOfNothingThatIsNotSaid() {
    assertThat(warnings("vfio-pci", "", "vfio-pci.ids=8086:1521")).isEmpty();
    assertThat(warnings("igb", "", "quiet")).isEmpty();
  }
}
