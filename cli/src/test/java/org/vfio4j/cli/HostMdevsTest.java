// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code vfio host} shows of definitions of mediated devices and of virtual GPUs. */
class HostMdevsTest {
  private static final String UUID = "c0ffee00-0000-4000-8000-00000000000";
  private static final String GPU = "0000:01:00.0";

  @TempDir private Path folder;

  private static String definition(int number, String type, String start, String parent) {
    return "{\"uuid\":\"%s%d\",\"parent\":\"%s\",\"type\":\"%s\",\"start\":\"%s\"}"
        .formatted(UUID, number, parent, type, start);
  }

  private Path host() throws IOException {
    String host =
        """
        {"vfio4j-capture": 3, "name": "gpus",
        "functions": [{"address": "%1$s", "group": 1, "driver": "acme"},
         {"address": "0000:03:00.0", "group": 5, "driver": "igb"},
         {"address": "0000:02:00.0", "group": 2, "driver": "nvidia"},
         {"address": "0000:02:00.4", "group": 3, "driver": "nvidia", "physfn": "0000:02:00.0",
          "vgpu": {"current": null, "creatable": [{"id": 7, "name": "ACME X-1Q"}]}},
         {"address": "0000:02:00.5", "group": 4, "driver": "nvidia", "physfn": "0000:02:00.0",
          "vgpu": {"current": 7, "creatable": []}}],
        "mdevParents": [{"device": "%1$s", "types": [
         {"id": "acme-1", "availableInstances": 1}, {"id": "acme-2", "availableInstances": 0}]}],
        "mdevs": [{"uuid": "%2$s1", "parent": "%1$s", "type": "acme-1", "group": 9}],
        "losses": [{"line": 0, "text": "etc/mdevctl.d/x: no", "why": "not-read"}],
        "mdevDefinitions": [%3$s]}
        """
            .formatted(
                GPU,
                UUID,
                String.join(
                    ",",
                    definition(1, "acme-1", "auto", GPU),
                    definition(2, "acme-1", "manual", GPU),
                    definition(3, "acme-2", "auto", GPU),
                    definition(4, "acme-3", "manual", GPU),
                    definition(5, "ap", "manual", "matrix"),
                    definition(6, "vfio4j-wrapped", "manual", "0000:03:00.0"),
                    definition(7, "vfio4j-wrapped", "auto", "0000:02:00.0")));
    return Files.writeString(folder.resolve("gpus.json"), host);
  }

  @Test
  void shouldSayWhatIsDefinedWhatIsActiveAndHowItStarts() throws IOException {
    Ran ran = Ran.on(300, false, "host", host());
    assertThat(ran.status()).isZero();
    assertThat(ran.lines())
        .contains(
            "  "
                + UUID
                + "1 acme-1 on "
                + GPU
                + ", group 9; defined, starts with its parent (auto)",
            "  "
                + UUID
                + "2 acme-1 on "
                + GPU
                + ": not active; defined, starts when asked (manual)",
            "  "
                + UUID
                + "3 acme-2 on "
                + GPU
                + ": not active; defined, starts with its parent (auto); no instance is left",
            "  "
                + UUID
                + "4 acme-3 on "
                + GPU
                + ": not active; defined, starts when asked (manual); that type is not offered"
                + " there now",
            "  "
                + UUID
                + "5 ap on matrix: not active; defined, starts when asked (manual); nothing"
                + " offers mediated devices there now",
            "  " + UUID + "6 wrapped 0000:03:00.0: defined for 'vfio up'",
            "  "
                + UUID
                + "7 wrapped 0000:02:00.0: defined for 'vfio up'; mdevctl tries to start it"
                + " with its parent and cannot: mdevctl modify -p 0000:02:00.0 -u "
                + UUID
                + "7 --manual",
            "1 line of the source not counted above",
            "  not of a form that is known: etc/mdevctl.d/x: no");
    assertThat(ran.out()).contains("7 definitions of mdevctl", "4 mdevs defined");
  }

  @Test
  void shouldSayWhatIsInTheWayOfAWrappedFunction() throws IOException {
    String capture =
        """
        {"vfio4j-capture": 3, "name": "gpus",
        "functions": [{"address": "%1$s", "group": 1, "driver": "acme"}],
        "mdevParents": [{"device": "%1$s", "types": [{"id": "small", "availableInstances": 1}]}],
        "mdevs": [{"uuid": "%2$s1", "parent": "%1$s", "type": "small", "group": 9}],
        "mdevDefinitions": [%3$s]}
        """
            .formatted(
                GPU,
                UUID,
                String.join(
                    ",",
                    definition(1, "vfio4j-wrapped", "manual", "0000:03:00.0"),
                    definition(2, "vfio4j-wrapped", "manual", GPU)
                        .replace("}", ",\"attrs\":[{\"a\":\"1\"}]}"),
                    definition(3, "vfio4j-wrapped", "manual", GPU),
                    definition(4, "vfio4j-wrapped", "manual", "matrix")));
    Ran ran =
        Ran.on(300, false, "host", Files.writeString(folder.resolve("in-the-way.json"), capture));
    assertThat(ran.err()).isEmpty();
    String made = "; its driver has made 1 mdev, gone when it is wrapped; defined more than once";
    assertThat(ran.lines())
        .contains(
            "  "
                + UUID
                + "1 wrapped 0000:03:00.0: defined for 'vfio up'; there is no such function now;"
                + " the device of this name is another one, on "
                + GPU,
            "  %s2 wrapped %s: defined for 'vfio up'; its attributes mean nothing%s"
                .formatted(UUID, GPU, made),
            "  %s3 wrapped %s: defined for 'vfio up'%s".formatted(UUID, GPU, made),
            "  %s4 vfio4j-wrapped on matrix: that is no PCI function, and nothing can be made of it"
                .formatted(UUID));
  }

  @Test
  void shouldSayInThePictureWhatIsDefined() throws IOException {
    Path picture = folder.resolve("host.svg");
    assertThat(Ran.vfio("host", host(), "--svg", picture).status()).isZero();
    assertThat(Files.readString(picture)).contains("defined, auto");
  }

  @Test
  void shouldSayWhatCanBeMadeOfAVirtualFunction() throws IOException {
    Ran ran = Ran.on(200, false, "host", host());
    assertThat(ran.out())
        .contains(
            "vGPU without a type, can be of 1 type",
            "vGPU of type 7",
            "  0000:02:00.4: 7 (ACME X-1Q)");
  }

  @Test
  void shouldCheckWhatIsDefinedAndDrawItBelowItsParent() throws IOException {
    host();
    Path request =
        Files.writeString(
            folder.resolve("vms.yaml"),
            "host: gpus.json\nvms:\n  web:\n    devices: [%s2]\n  db:\n    devices: [%s6]\n"
                .formatted(UUID, UUID));
    Path picture = folder.resolve("check.svg");
    Ran ran = Ran.on(200, false, "check", request, "--svg", picture);
    assertThat(ran.status()).isZero();
    assertThat(ran.out())
        .contains(
            "start mdev %s2, a acme-1 on %s: mdevctl start -p %s -u %s2"
                .formatted(UUID, GPU, GPU, UUID),
            "bind 0000:03:00.0 to vfio-mdev-pci (now igb)");
    assertThat(Files.readString(picture)).contains("mediated device " + UUID + "2");
  }

  @Test
  void shouldHaveAllOfItInJson() throws IOException {
    assertThat(Ran.vfio("host", "--json", host()).out())
        .contains("\"mdevDefinitions\"", "vfio4j-wrapped", "ACME X-1Q");
  }
}
