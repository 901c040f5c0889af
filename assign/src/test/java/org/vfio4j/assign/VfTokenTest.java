// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.vfio4j.assign.request.RequestText;
import org.vfio4j.assign.request.Written;
import org.vfio4j.error.Errno;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/** Virtual functions of a physical one that vfio-pci has: the token that their user has to give. */
class VfTokenTest {
  private static final String PF = "0000:03:00.0";
  private static final String VF = "0000:03:10.0";
  private static final String SECOND = "0000:03:10.2";
  private static final UUID TOKEN = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
  private static final UUID OTHER = UUID.fromString("00000000-0000-4000-8000-000000000001");

  private static HostTopology host(String driver) {
    String virtual =
        """
        {"address":"%s","id":"8086:154c","class":"020000","header":"normal","driver":null,\
        "group":%d,"physfn":"0000:03:00.0","parent":null}\
        """;
    return new SmallHost()
        .function(PF, 1, driver, "\"numVfs\":2", "\"totalVfs\":64")
        .raw(virtual.formatted(VF, 2))
        .raw(virtual.formatted(SECOND, 3))
        .reserved(1)
        .reserved(2)
        .reserved(3)
        .build();
  }

  private static Verdict check(String driver, VmRequest... vms) {
    return Check.verdict(Request.of(vms), host(driver), Options.DEFAULT);
  }

  private static DeviceRefusal refusal(Verdict verdict) {
    return verdict.devices().flatMap(d -> d.refusal().stream()).findFirst().orElseThrow();
  }

  private static VmRequest vm(String name, DeviceRequest device) {
    return VmRequest.of(name, device);
  }

  @Test
  void shouldTellOfATokenThatIsMissingAndWhoKnowsIt() {
    DeviceRequest device = DeviceRequest.whole(VF);
    DeviceRefusal refusal = refusal(check("vfio-pci", vm("web", device)));
    assertThat(refusal.errno()).contains(Errno.EACCES);
    assertThat(refusal.message()).contains(PF, "the token is missing");
    assertThat(refusal.fixes().getFirst().sentence())
        .isEqualTo(
            "give %s the token that the user of %s has set: vf_token: (QEMU's vf-token=)"
                .formatted(VF, PF));
  }

  @Test
  void shouldTakeTheTokenOfAFunctionThatSomebodyElseHasAtTheRequestsWord() {
    Verdict verdict = check("vfio-pci", vm("web", DeviceRequest.whole(VF).withToken(TOKEN)));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.findings().assumed())
        .contains(new Assumption(PF, "the token that its user has set", TOKEN.toString()));
  }

  @Test
  void shouldRefuseOneOfTwoTokensOfOnePhysicalFunction() {
    Verdict verdict =
        check(
            "vfio-pci",
            vm("web", DeviceRequest.whole(VF).withToken(TOKEN)),
            vm("db", DeviceRequest.whole(SECOND).withToken(OTHER)));
    assertThat(verdict.vms().getFirst().devices().getFirst().refused()).isFalse();
    assertThat(refusal(verdict).message()).contains(SECOND, "the token is wrong");
    assertThat(refusal(verdict).fixes().getFirst().sentence())
        .isEqualTo("give %s the token of %s: vf_token: %s".formatted(SECOND, PF, TOKEN));
  }

  @Test
  void shouldLetTheVmThatHasThePhysicalFunctionSetTheToken() {
    VmRequest router = vm("router", DeviceRequest.whole(PF).withToken(TOKEN));
    assertThat(
            check("vfio-pci", router, vm("web", DeviceRequest.whole(VF).withToken(TOKEN)))
                .admitted())
        .isTrue();
    Verdict wrong = check("vfio-pci", router, vm("web", DeviceRequest.whole(VF).withToken(OTHER)));
    assertThat(refusal(wrong).code().name()).isEqualTo("VF_TOKEN");
    assertThat(wrong.findings().assumed()).noneMatch(a -> a.unknown().contains("token"));
  }

  @Test
  void shouldOfferOneTokenForBothWhereNeitherHasOne() {
    Verdict verdict =
        check(
            "vfio-pci", vm("router", DeviceRequest.whole(PF)), vm("web", DeviceRequest.whole(VF)));
    Fix fix = refusal(verdict).fixes().getFirst();
    assertThat(fix.sentence()).contains(PF + " in router", VF + " in web", "vf_token:");
    Fix.Changed changed =
        fix.apply(
            Request.of(vm("router", DeviceRequest.whole(PF)), vm("web", DeviceRequest.whole(VF))),
            host("vfio-pci"));
    assertThat(Check.verdict(changed.request(), changed.host(), Options.DEFAULT).admitted())
        .isTrue();
  }

  @Test
  void shouldRefuseATokenThatNobodyAsksFor() {
    DeviceRefusal refusal =
        refusal(check("igb", vm("web", DeviceRequest.whole(VF).withToken(TOKEN))));
    assertThat(refusal.errno()).contains(Errno.EINVAL);
    assertThat(refusal.message()).contains(VF + " takes no token");
  }

  @Test
  void shouldReadATokenFromYamlAndFromACommandLineAndWriteIt() {
    HostTopology host = host("vfio-pci");
    String yaml =
        "host: h.json\nvms:\n  web: {devices: [{device: %s, vf_token: %s}]}\n".formatted(VF, TOKEN);
    Request request = RequestReader.read("r.yaml", yaml);
    DeviceRequest device = DeviceRequest.whole(VF).withToken(TOKEN);
    assertThat(request.vms().getFirst().devices()).containsExactly(device);
    String line = Written.QEMU.text(request, host);
    assertThat(line).contains("-device vfio-pci,host=%s,vf-token=%s".formatted(VF, TOKEN));
    String script = "qemu-system-x86_64 \\\n" + line.replaceFirst("#.*\n", "");
    Request back = RequestText.of("run.sh", script).read(host);
    assertThat(back.vms().getFirst().devices()).isEqualTo(List.of(device));
    assertThat(Written.LIBVIRT.text(request, host)).contains("<!--", "vf-token=" + TOKEN);
    assertThat(Written.PROXMOX.text(request, host)).contains("# ", "vf-token=" + TOKEN);
  }

  @Test
  void shouldSayWhichTokenIsNone() {
    assertThatThrownBy(
            () ->
                RequestReader.read(
                    "r.yaml",
                    "host: h.json\nvms:\n  web: {devices: [{device: %s, vf_token: x}]}\n"
                        .formatted(VF)))
        .isInstanceOf(BadInputException.class)
        .hasMessageContaining("r.yaml:3")
        .hasMessageContaining("not a UUID: x");
    assertThatThrownBy(() -> DeviceRequest.wrapped(VF).withToken(TOKEN))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
