// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;

/** The smallest inputs that once went wrong, by their names in docs/reports/cases. */
class CasesTest {
  private static final Path CASES = Path.of("../docs/reports/cases");
  private static final String A = "0000:01:00.0";
  private static final String B = "0000:01:00.1";
  private static final long GIB = 1L << 30;

  private static Verdict check(String name) throws IOException {
    Path file = CASES.resolve(name);
    Request request = RequestReader.read(name, Files.readString(file, StandardCharsets.UTF_8));
    HostTopology host = HostSource.read(file.resolveSibling(request.host())).getFirst();
    return Check.verdict(request, host, Options.DEFAULT);
  }

  private static DeviceRefusal refusal(Verdict verdict) {
    return verdict.devices().flatMap(d -> d.refusal().stream()).findFirst().orElseThrow();
  }

  /** The source's own kernel is 5.10: the group is found out at the last call. */
  @Test
  void c24() throws IOException {
    Verdict verdict = check("c24.yaml");
    assertThat(verdict.kernel()).isEqualTo("5.10");
    assertThat(refusal(verdict).errno().orElseThrow().name()).isEqualTo("EINVAL");
    assertThat(refusal(verdict).call()).isEqualTo("VFIO_GROUP_GET_DEVICE_FD");
  }

  /** The source's own kernel is 6.12: firmware's ranges are refused at the claim. */
  @Test
  void c21() throws IOException {
    Verdict verdict = check("c21.yaml");
    assertThat(verdict.kernel()).isEqualTo("6.12");
    assertThat(refusal(verdict).errno().orElseThrow().name()).isEqualTo("EINVAL");
    assertThat(refusal(verdict).call()).isEqualTo("VFIO_GROUP_SET_CONTAINER");
  }

  /** A physical function and its virtual one: nobody is to lose by a fix, so both get a token. */
  @Test
  void c18() throws IOException {
    DeviceRefusal refusal = refusal(check("c18-pfvf.yaml"));
    assertThat(refusal.code().name()).isEqualTo("VF_TOKEN");
    assertThat(refusal.fixes())
        .containsExactly(
            new Fix.UseToken(
                "b",
                DeviceRequest.whole("0000:03:00.1"),
                PciAddress.parse("0000:03:00.0"),
                Optional.of("a"),
                Optional.of(Fix.tokenOf(PciAddress.parse("0000:03:00.0")))));
  }

  @Test
  void c04d() throws IOException {
    Verdict verdict = check("c04d-parent-only.yaml");
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.devices().flatMap(d -> d.steps().stream()).map(Step::sentence))
        .contains(
            "expect mdev 3deab9a4-200a-4c54-99b1-5eb0722d1d81 to go: nvidia removes what it has"
                + " made of 0000:08:00.6 when it leaves");
  }

  @Test
  void c04c() throws IOException {
    Verdict verdict = check("c04c-order.yaml");
    DeviceRefusal refusal = refusal(verdict);
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_IN_USE);
    assertThat(refusal.message()).contains("3deab9a4", "nvidia", "0000:08:00.6");
    assertThat(refusal.holder().orElseThrow().vm()).isEqualTo("e");
    assertThat(refusal.fixes())
        .contains(new Fix.LeaveOut("d", DeviceRequest.whole("0000:08:00.6")));
    assertThat(verdict.vms().getFirst().devices().getFirst().refused()).isFalse();
  }

  /** Both for one VM, which can have either. */
  @Test
  void shouldOfferEitherOfAFunctionAndItsMdevToTheVmThatAsksForBoth() {
    HostTopology host = Examples.host("tour.yaml");
    DeviceRequest parent = DeviceRequest.whole("0000:08:00.6");
    DeviceRequest mdev =
        DeviceRequest.mdev(java.util.UUID.fromString("3deab9a4-200a-4c54-99b1-5eb0722d1d81"));
    Verdict verdict =
        Check.verdict(Request.of(VmRequest.of("d", mdev, parent)), host, Options.DEFAULT);
    assertThat(refusal(verdict).fixes())
        .contains(new Fix.LeaveOut("d", parent), new Fix.LeaveOut("d", mdev));
  }

  private static SmallHost two(String driver) {
    return new SmallHost().function(A, 1, "vfio-pci").function(B, 1, driver).reserved(1);
  }

  /** memlock equal to the RAM. */
  @Test
  void shouldNeedMoreLockedMemoryThanRam() {
    HostTopology host = two("none").build();
    VmRequest vm = VmRequest.of("web", DeviceRequest.whole(A)).withMemory(4 * GIB);
    Verdict verdict = Check.verdict(Request.of(vm.withMemlock(4 * GIB)), host, Options.DEFAULT);
    assertThat(refusal(verdict).fixes()).containsExactly(new Fix.RaiseMemlock("web", 5 * GIB, 1));
    assertThat(refusal(verdict).message())
        .isEqualTo(
            "web may lock 4GiB, and QEMU locks 4GiB of RAM and 16640KiB of firmware and video"
                + " memory");
    long enough = 4 * GIB + GuestMemory.BESIDE_RAM;
    assertThat(Check.verdict(Request.of(vm.withMemlock(enough)), host, Options.DEFAULT).admitted())
        .isTrue();
  }

  /** A limit that is too low and a group that is used: it takes both changes. */
  @Test
  void shouldNameTheLimitOfLockedMemoryBesideAHalfGroup() {
    HostTopology host = two("i915").build();
    VmRequest vm =
        VmRequest.of("web", DeviceRequest.whole(A)).withMemory(4 * GIB).withMemlock(2 * GIB);
    Fix first = refusal(Check.verdict(Request.of(vm), host, Options.DEFAULT)).fixes().getFirst();
    assertThat(first.sentence())
        .isEqualTo("unbind " + B + " from i915, and raise memlock to 5GiB for web");
    Fix.Changed after = first.apply(Request.of(vm), host);
    assertThat(Check.verdict(after.request(), after.host(), Options.DEFAULT).admitted()).isTrue();
  }

  /** "give X to a, which has the group", where a has X. */
  @Test
  void shouldLeaveOutOfTheOtherWhatTheHolderHas() {
    Request request =
        Request.of(
            VmRequest.of("a", DeviceRequest.whole(A)), VmRequest.of("b", DeviceRequest.whole(A)));
    assertThat(refusal(Check.verdict(request, two("none").build(), Options.DEFAULT)).fixes())
        .first()
        .isEqualTo(new Fix.LeaveOut("b", DeviceRequest.whole(A)));
  }

  /** One unknown device in a file. */
  @Test
  void shouldAnswerForAllOthersWhereOneIsUnknown() {
    Request request =
        Request.of(
            VmRequest.of("a", DeviceRequest.whole("0000:77:00.0"), DeviceRequest.whole(A)),
            VmRequest.of("b", DeviceRequest.whole(B)));
    Verdict verdict = Check.verdict(request, two("none").build(), Options.DEFAULT);
    assertThat(verdict.badInput()).isTrue();
    assertThat(verdict.devices().map(d -> d.outcome().word()))
        .containsExactly("bad-input", "attached", "refused");
  }

  /**
   * What the host needs is nobody's to unbind or to give away, whether its driver is known or not.
   */
  @Test
  void shouldOfferNothingOfTheChipsetAndNoNetworkCardOfUnknownUse() {
    for (String code : List.of("060100", "0c0500", "060000", "058000", "080600")) {
      HostTopology host = two("lpc_ich").build();
      HostTopology chipset =
          host.with(
              host.function(PciAddress.parse(B)).orElseThrow().toBuilder()
                  .classCode(java.util.Optional.of(org.vfio4j.host.PciClass.parse(code)))
                  .build());
      Request request = Request.of(VmRequest.of("a", DeviceRequest.whole(A)));
      assertThat(refusal(Check.verdict(request, chipset, Options.DEFAULT)).fixes())
          .as(code)
          .containsExactly(new Fix.LeaveOut("a", DeviceRequest.whole(A)));
    }
    HostTopology unknownUse = two("igb").roles("\"bootDisk\":[],\"console\":[]").build();
    Request request = Request.of(VmRequest.of("a", DeviceRequest.whole(A)));
    assertThat(refusal(Check.verdict(request, unknownUse, Options.DEFAULT)).fixes())
        .containsExactly(new Fix.LeaveOut("a", DeviceRequest.whole(A)));
  }

  @Test
  void shouldRefuseStrictlyWhatNoLinuxDoes() {
    Request request =
        Request.of(
            VmRequest.of("a", DeviceRequest.wrapped(A)),
            VmRequest.of("b", DeviceRequest.emulated(B)),
            VmRequest.of("c", DeviceRequest.aux(B)));
    Verdict verdict = Check.verdict(request, two("none").build(), Options.DEFAULT);
    assertThat(verdict.beyond()).hasSize(3);
    Request wrapped = Request.of(VmRequest.of("a", DeviceRequest.wrapped(A)));
    HostTopology host = two("none").build();
    assertThat(Check.verdict(wrapped, host, Options.DEFAULT).admitted()).isTrue();
    Verdict strict = Check.verdict(wrapped, host, Options.DEFAULT.strictly(true));
    assertThat(((Verdict.Refused) strict).strictly()).contains(Verdict.Strictness.BEYOND_LINUX);
  }
}
