// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.input.BadInputException;

class RequestReaderTest {
  @Test
  void shouldReadEveryKindOfDevice() {
    Request request =
        RequestReader.read(
            "x.yaml",
            """
            host: hosts/x.json
            vms:
              web:
                memory: 4GiB
                memlock: 6144 MiB
                viommu: true
                devices:
                  - 0000:01:00.0
                  - wrap: 0000:01:00.1
                  - mdev: 83B8F4F2-509f-382f-3c1e-e6bfe0fa1001
                  - aux: 0000:6a:01.0
                  - emulated: 3b:00.0
                    type: nvidia-35
            """);
    VmRequest vm = request.vms().getFirst();
    assertThat(vm.memory()).contains(4L << 30);
    assertThat(vm.memlock()).contains(6L << 30);
    assertThat(vm.viommu()).isTrue();
    assertThat(vm.devices())
        .extracting(DeviceRequest::toString)
        .containsExactly(
            "0000:01:00.0",
            "wrap 0000:01:00.1",
            "mdev 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
            "aux 0000:6a:01.0",
            "emulated 0000:3b:00.0");
    assertThat(vm.devices().getLast().type()).contains("nvidia-35");
    assertThat(vm.devices().get(1).at().orElseThrow().line()).isEqualTo(9);
  }

  @Test
  void shouldReadHowAVmIsServed() {
    Request request =
        RequestReader.read(
            "x.yaml",
            """
            host: linux
            vms:
              web:
                user: 1000
                group: kvm
                mode: 0660
                timeout: 2min
                shared: true
                mmap: none
                devices:
                  - 0000:01:00.0
                  - {device: 0000:01:00.1, mmap: device, reset: none}
                  - {wrap: 0000:01:00.2, reset: none}
                  - device: ioat
                  - device: edu
            """);
    VmRequest vm = request.vms().getFirst();
    assertThat(vm.devices())
        .extracting(DeviceRequest::toString)
        .containsExactly("0000:01:00.0", "0000:01:00.1", "wrap 0000:01:00.2");
    Serving serving = vm.serving();
    assertThat(serving.user()).contains("1000");
    assertThat(serving.group()).contains("kvm");
    assertThat(serving.mode()).contains("0660");
    assertThat(serving.timeout()).contains(Duration.ofMinutes(2));
    assertThat(serving.shared()).isTrue();
    assertThat(serving.builtIn()).containsExactly(BuiltIn.IOAT, BuiltIn.EDU);
    assertThat(vm.devices())
        .extracting(serving::of)
        .containsExactly(
            new Serving.Handling(false, true),
            new Serving.Handling(true, false),
            new Serving.Handling(false, false));
    assertThat(vm.named("b").withViommu(true).withMemory(1L << 30).serving()).isEqualTo(serving);
  }

  @Test
  void shouldNeedNoHostForDevicesOfOurs() {
    assertThat(RequestReader.read("x", "vms: {a: {devices: [{device: edu}]}}").host()).isEmpty();
    assertThatThrownBy(() -> RequestReader.read("x", "vms: {a: {devices: [0000:01:00.0]}}"))
        .isInstanceOf(BadInputException.class)
        .hasMessageContaining("host");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "host",
        "vms: {}",
        "host: x\nvms: {}",
        "host: x\nvms: []",
        "host: x\nvms:\n  web: {}\n",
        "host: x\nvms:\n  web:\n    devices: [\"0000:01:00\"]",
        "host: x\nvms:\n  web:\n    devices: [{wrap: 1, aux: 2}]",
        "host: x\nvms:\n  web:\n    devices: [{wrong: 0000:01:00.0}]",
        "host: x\nvms:\n  web:\n    devices: [{mdev: not-a-uuid}]",
        "host: x\nvms:\n  web:\n    memory: lots\n    devices: []",
        "host: x\nvms:\n  web:\n    memory: 4095KiB\n    memory: 4097\n    devices: []",
        "host: x\nvms:\n  web:\n    memory: 4096\n    devices: []",
        "host: x\nvms:\n  web:\n    memory: 0\n    devices: []",
        "host: x\nvms:\n  web:\n    memory: 999999999999TiB\n    devices: []",
        "host: x\nvms:\n  web:\n    viommu: maybe\n    devices: []",
        "host: x\nvms:\n  web:\n    devices: []\n  web:\n    devices: []",
        "host: x\nvms:\n  'a#b':\n    devices: []",
        "host: x\ncolour: red\nvms:\n  web:\n    devices: []",
        "host: x\nvms:\n  web:\n    devices: [\"0000:01:00.0\", \"0000:01:00.0\"]",
        "host: x\nvms: &a\n  web: *a",
        "host: x\nvms:\n  web:\n    <<: *nothing\n    devices: []",
        "host: x\nvms:\n  web:\n    <<: 5\n    devices: []",
        "{[}",
        "\u0000\u0001\u0002",
        "host: x\nvms:\n\t- y",
      })
  void shouldRefuseInOneLineWithItsPlace(String text) {
    assertThatThrownBy(() -> RequestReader.read("x.yaml", text))
        .isInstanceOf(BadInputException.class)
        .hasMessageStartingWith("x.yaml:")
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n"));
  }

  /** Aliases, merges, names and sizes as people write them. */
  @Test
  void shouldReadYamlAsPeopleWriteIt() {
    Request request =
        RequestReader.read(
            "x.yaml",
            """
            host: x
            vms:
              "Größe 1": &d
                memory: 3.5G
                memlock: unlimited
                devices: &list [0000:05:00.0]
              b:
                <<: *d
                memory: 4 GB
                devices: *list
            drivers: {0000:01:00.1: none, 0000:01:00.2: vfio-pci}
            """);
    VmRequest first = request.vms().getFirst();
    assertThat(first.name()).isEqualTo("Größe 1");
    assertThat(first.memory()).contains(3584L << 20);
    assertThat(first.memlock()).isEmpty();
    VmRequest second = request.vms().getLast();
    assertThat(second.memory()).contains(4L << 30);
    assertThat(second.devices()).isEqualTo(first.devices());
    assertThat(request.drivers()).hasSize(2);
  }

  /** Aliases of aliases must not make a short text a long request. */
  @Test
  void shouldRefuseATextThatGrowsByItsAliases() {
    StringBuilder text = new StringBuilder("host: x\na0: &a0 [1,2,3,4,5,6,7,8,9,10]\n");
    for (int i = 1; i < 10; i++) {
      text.append("a%d: &a%d [".formatted(i, i));
      text.append("*a%d,".formatted(i - 1).repeat(10)).append("]\n");
    }
    assertThatThrownBy(() -> RequestReader.read("x.yaml", text.toString()))
        .isInstanceOf(BadInputException.class)
        .hasMessageContaining("values");
  }

  @Test
  void shouldNameATabAndABareNumber() {
    assertThatThrownBy(() -> RequestReader.read("x.yaml", "host: x\nvms:\n  a:\n\tdevices: []"))
        .hasMessage("x.yaml:4: a tab: YAML is indented by spaces, write two for it");
    assertThatThrownBy(
            () ->
                RequestReader.read(
                    "x.yaml", "host: x\nvms:\n  a:\n    memory: 4096\n    devices: []"))
        .hasMessageContaining("4096 without a unit is 4096 bytes");
  }

  @Test
  void shouldRefuseRubbishBeforeReadingIt() {
    assertThatThrownBy(
            () -> RequestReader.read("x.yaml", "a".repeat(RequestReader.MAX_CHARACTERS + 1)))
        .isInstanceOf(BadInputException.class);
  }

  @Test
  void shouldNameTheDeviceThatTheHostHasNot() {
    Request request =
        RequestReader.read("x.yaml", "host: x\nvms:\n  web:\n    devices: [\"0000:09:00.0\"]");
    Verdict verdict =
        Check.verdict(
            request, new SmallHost().function("0000:01:00.0", 1, "igb").build(), Options.DEFAULT);
    assertThat(verdict.badInput()).isTrue();
    assertThat(verdict.devices().findFirst().orElseThrow().refusal().orElseThrow().message())
        .contains("x.yaml:4", "0000:09:00.0");
  }

  @Test
  void shouldTakeAUuidAloneForAMediatedDevice() {
    String uuid = "f715f63c-0d00-4007-9c5a-b07b0c6c05de";
    String text = "host: h\nvms:\n  a: {devices: [%s]}\n";
    assertThat(RequestReader.read("r.yaml", text.formatted(uuid)).vms().getFirst().devices())
        .isEqualTo(
            RequestReader.read("r.yaml", text.formatted("{mdev: " + uuid + "}"))
                .vms()
                .getFirst()
                .devices());
  }
}
