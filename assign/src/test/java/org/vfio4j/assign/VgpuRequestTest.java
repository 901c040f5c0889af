// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.vfio4j.assign.request.Written;
import org.vfio4j.host.HostTopology;

/** Virtual functions that their vendor's driver makes virtual GPUs of. */
class VgpuRequestTest {
  private static final String GPU = "0000:01:00.0";
  private static final String VF = "0000:01:00.4";
  private static final DeviceRequest WANTED = DeviceRequest.whole(VF);

  private static HostTopology host(String driver, String vgpu) {
    return new SmallHost()
        .function(GPU, 1, "nvidia")
        .raw(
            """
            {"address":"%s","id":"10de:26b9","class":"030200","header":"normal","driver":"%s",
            "group":2,"physfn":"%s","parent":null,"vgpu":%s}
            """
                .formatted(VF, driver, GPU, vgpu))
        .reserved(1)
        .reserved(2)
        .build();
  }

  private static DeviceVerdict check(HostTopology host) {
    return Check.verdict(Request.of(VmRequest.of("web", WANTED)), host, Options.DEFAULT)
        .findings()
        .vms()
        .getFirst()
        .devices()
        .getFirst();
  }

  @Test
  void shouldLeaveAFunctionThatHasATypeOnItsDriver() {
    DeviceVerdict device = check(host("nvidia", "{\"current\":7,\"creatable\":[]}"));
    assertThat(device.refused()).isFalse();
    assertThat(device.steps()).isEmpty();
  }

  @Test
  void shouldSayHowAFunctionGetsItsType() {
    DeviceVerdict device =
        check(
            host(
                "nvidia",
                "{\"current\":null,\"creatable\":[{\"id\":7,\"name\":\"ACME X-1Q\"},"
                    + "{\"id\":8,\"name\":\"ACME X-2Q\"}]}"));
    assertThat(device.refused()).isFalse();
    assertThat(device.steps())
        .extracting(Step::sentence)
        .containsExactly(
            "make "
                + VF
                + " a vGPU: echo ID > /sys/bus/pci/devices/"
                + VF
                + "/nvidia/current_vgpu_type, with ID 7 (ACME X-1Q), 8 (ACME X-2Q)");
  }

  @Test
  void shouldSayWhereTypesAreReadThatTheSourceDoesNotSay() {
    assertThat(check(host("nvidia", "{\"current\":null}")).steps())
        .extracting(Step::sentence)
        .singleElement()
        .asString()
        .endsWith("with an ID of creatable_vgpu_types beside it");
  }

  @Test
  void shouldRefuseAFunctionOfWhichNoneCanBeMade() {
    DeviceRefusal refusal =
        check(host("nvidia", "{\"current\":null,\"creatable\":[]}")).refusal().orElseThrow();
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.VGPU_NO_TYPE);
    assertThat(refusal.message()).contains("its GPU " + GPU + " has no room left");
  }

  @Test
  void shouldAssumeThatSeveralFitOnOneGpu() {
    String vf =
        "{\"address\":\"0000:01:00.%d\",\"driver\":\"nvidia\",\"group\":%d,\"physfn\":\"%s\",\"header\":\"normal\","
            + "\"vgpu\":{\"current\":null,\"creatable\":[{\"id\":7,\"name\":\"X\"}]}}";
    HostTopology host =
        new SmallHost()
            .function(GPU, 1, "nvidia")
            .raw(vf.formatted(4, 2, GPU))
            .raw(vf.formatted(5, 3, GPU))
            .build();
    Request two = Request.of(VmRequest.of("web", WANTED, DeviceRequest.whole("0000:01:00.5")));
    Assumption fit = new Assumption(GPU, "whether 2 more vGPUs fit on it", "they do");
    assertThat(Check.verdict(two, host, Options.DEFAULT).findings().assumed()).contains(fit);
    Request one = Request.of(VmRequest.of("web", WANTED));
    assertThat(Check.verdict(one, host, Options.DEFAULT).findings().assumed())
        .noneMatch(a -> a.subject().equals(GPU));
  }

  @Test
  void shouldTakeAFunctionOnVfioPciAsAnyOther() {
    assertThat(check(host("vfio-pci", "{\"current\":null,\"creatable\":[]}")).steps()).isEmpty();
  }

  @Test
  void shouldKeepLibvirtFromTakingItFromItsDriver() {
    Request request = Request.of(VmRequest.of("web", WANTED));
    assertThat(Written.LIBVIRT.text(request, host("nvidia", "{\"current\":7}")))
        .contains("type='pci' managed='no'");
    assertThat(Written.LIBVIRT.text(request, host("vfio-pci", "{\"current\":7}")))
        .contains("type='pci' managed='yes'");
  }
}
