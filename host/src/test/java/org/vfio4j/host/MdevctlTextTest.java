// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What mdevctl prints, as people paste it. */
class MdevctlTextTest {
  private static final String ONE = "c0ffee00-0000-4000-8000-000000000001";
  private static final String TWO = "c0ffee00-0000-4000-8000-000000000002";
  private static final String TYPES =
      """
      0000:00:02.0
        acme-1
          Available instances: 3
          Device API: vfio-pci
          Description: 64MB
        acme-2
          Available instances: 0
          Device API: vfio-pci
          Name: big
      matrix
        ap
          Available instances: 8
          Device API: vfio-ap
      """;

  private static HostTopology read(String text) {
    HostTopology host =
        HostSource.parse("t.txt", "t", text.getBytes(StandardCharsets.UTF_8)).getFirst();
    String capture = CaptureWriter.write(host);
    assertThat(CaptureSchema.errors(capture)).isEmpty();
    assertThat(Samples.only(capture)).isEqualTo(host);
    return host;
  }

  private static List<String> defined(HostTopology host) {
    return host.mdevDefinitions().stream()
        .map(d -> d.parent() + " " + d.uuid() + " " + d.type() + " " + d.start().word())
        .toList();
  }

  private static List<String> active(HostTopology host) {
    return host.mdevs().stream().map(m -> m.parent() + " " + m.uuid()).toList();
  }

  @Test
  void shouldReadWhatIsDefinedByTheCommandAboveIt() {
    HostTopology host =
        read(
            "# mdevctl list -d\n"
                + ONE
                + " 0000:00:02.0 acme-1 manual\n"
                + TWO
                + " matrix ap manual\n");
    assertThat(defined(host))
        .containsExactly("0000:00:02.0 " + ONE + " acme-1 manual", "matrix " + TWO + " ap manual");
    assertThat(host.mdevs()).isEmpty();
    assertThat(host.losses()).isEmpty();
    assertThat(host.functions()).hasSize(1);
  }

  @Test
  void shouldReadWhatIsActiveByTheCommandAboveIt() {
    HostTopology host = read("root@kvm7:~# mdevctl list\n" + ONE + " 0000:00:02.0 acme-1 manual\n");
    assertThat(active(host)).containsExactly("0000:00:02.0 " + ONE);
    assertThat(host.mdevDefinitions()).isEmpty();
  }

  @Test
  void shouldReadByTheMarksOfAListingWhereNoCommandIsShown() {
    HostTopology defined =
        read(ONE + " 0000:00:02.0 acme-1 manual\n" + TWO + " 0000:00:02.0 acme-1 auto (active)\n");
    assertThat(defined(defined)).hasSize(2);
    assertThat(active(defined)).containsExactly("0000:00:02.0 " + TWO);
    HostTopology active =
        read(ONE + " 0000:00:02.0 acme-1 manual\n" + TWO + " 0000:00:02.0 acme-1 auto (defined)\n");
    assertThat(active(active)).hasSize(2);
    assertThat(defined(active)).containsExactly("0000:00:02.0 " + TWO + " acme-1 auto");
  }

  @Test
  void shouldReadOlderListingsThatDoNotSayWhatStarts() {
    HostTopology host =
        read(ONE + " 0000:00:02.0 acme-1\n" + TWO + " 0000:00:02.0 acme-1 (defined)\n");
    assertThat(active(host)).hasSize(2);
  }

  @Test
  void shouldTellAListingThatMayBeEither() {
    HostTopology host =
        read("00:02.0 VGA compatible controller: ACME\n\n" + ONE + " 0000:00:02.0 acme-1 manual\n");
    assertThat(host.losses())
        .extracting(Loss::line, Loss::reason)
        .containsExactly(org.assertj.core.groups.Tuple.tuple(3, Loss.Reason.AMBIGUOUS));
    assertThat(host.mdevs()).isEmpty();
  }

  @Test
  void shouldReadAttributesInTheirOrder() {
    HostTopology host =
        read(
            "$ mdevctl list -dv\n"
                + ONE
                + " matrix ap auto\n  Attrs:\n    @{0}: {\"a\":\"5\"}\n    @{1}: {\"a\":\"6\"}\n"
                + TWO
                + " matrix ap manual\n");
    assertThat(host.mdevDefinitions().getFirst().attributes())
        .containsExactly(
            new MdevDefinition.Attribute("a", "5"), new MdevDefinition.Attribute("a", "6"));
    assertThat(host.mdevDefinitions().getLast().attributes()).isEmpty();
    assertThat(host.losses()).isEmpty();
  }

  @Test
  void shouldReadTypesBesideTheDevicesOfAnotherListing() {
    HostTopology host =
        read(
            "00:02.0 VGA compatible controller: ACME\n\n# mdevctl list\n"
                + ONE
                + " 0000:00:02.0 acme-1 manual\n# mdevctl types\n"
                + TYPES);
    assertThat(host.losses()).isEmpty();
    assertThat(host.functions()).hasSize(1);
    assertThat(host.mdevParent("0000:00:02.0").orElseThrow().types())
        .extracting(t -> t.id() + " " + t.availableInstances().orElse(-1))
        .containsExactly("acme-1 3", "acme-2 0");
    MdevType first = host.mdevParent("0000:00:02.0").orElseThrow().types().getFirst();
    assertThat(first.description()).contains("64MB");
    assertThat(host.mdevParent("matrix").orElseThrow().types()).hasSize(1);
  }

  @Test
  void shouldReadTypesAlone() {
    assertThat(read(TYPES).mdevParents()).hasSize(2);
  }

  @Test
  void shouldReadJsonOfBoth() {
    String devices =
        """
        [
          {
            "matrix": [
              {
                "%s": {
                  "mdev_type": "ap",
                  "start": "auto",
                  "attrs": [
                    {
                      "a": "5"
                    }
                  ]
                }
              }
            ]
          }
        ]
        """
            .formatted(ONE);
    HostTopology defined = read("# mdevctl list -d --dumpjson\n" + devices);
    assertThat(defined(defined)).containsExactly("matrix " + ONE + " ap auto");
    assertThat(defined.mdevDefinitions().getFirst().attributes()).hasSize(1);
    assertThat(active(read("# mdevctl list --dumpjson\n" + devices))).hasSize(1);
    HostTopology types =
        read(
            """
            [
              {
                "0000:00:02.0": [
                  {
                    "acme-1": {
                      "available_instances": 4,
                      "device_api": "vfio-pci"
                    }
                  }
                ]
              }
            ]
            """);
    assertThat(types.mdevParents().getFirst().types().getFirst().availableInstances()).contains(4);
    assertThat(read("00:02.0 VGA compatible controller: ACME\n\n" + devices).losses())
        .extracting(Loss::reason)
        .containsExactly(Loss.Reason.AMBIGUOUS);
  }
}
