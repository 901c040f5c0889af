// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.vfio4j.assign.request.Written;
import org.vfio4j.error.Errno;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/** Mediated devices that mdevctl keeps and the host does not have yet. */
class DefinedMdevsTest {
  private static final String GPU = "0000:01:00.0";
  private static final String OTHER = "0000:02:00.0";
  private static final Options OPTIONS = Options.DEFAULT;

  private static String uuid(int number) {
    return "c0ffee00-0000-4000-8000-%012d".formatted(number);
  }

  private static DeviceRequest mdev(int number) {
    return DeviceRequest.mdev(UUID.fromString(uuid(number)));
  }

  private static String defined(int number, String parent, String type, String start) {
    return "{\"uuid\":\"%s\",\"parent\":\"%s\",\"type\":\"%s\",\"start\":\"%s\"}"
        .formatted(uuid(number), parent, type, start);
  }

  /** A GPU of two types, of each of which so many are left, and an ordinary function. */
  private static HostTopology host(int small, int big, String... definitions) {
    return host(
        "{\"id\":\"small\",\"availableInstances\":%d},{\"id\":\"big\",\"availableInstances\":%d}"
            .formatted(small, big),
        definitions);
  }

  private static HostTopology host(String types, String... definitions) {
    return new SmallHost()
        .function(GPU, 1, "acme")
        .function(OTHER, 2, "vfio-pci")
        .reserved(1)
        .reserved(2)
        .mdevs(
            "\"mdevParents\":[{\"device\":\"%s\",\"isolation\":\"plain\",\"types\":[%s]}],"
                    .formatted(GPU, types)
                + "\"mdevDefinitions\":["
                + String.join(",", definitions)
                + "]")
        .build();
  }

  private static Verdict check(HostTopology host, DeviceRequest... devices) {
    return Check.verdict(Request.of(VmRequest.of("web", devices)), host, OPTIONS);
  }

  private static DeviceVerdict device(Verdict verdict, int index) {
    return verdict.findings().vms().getFirst().devices().get(index);
  }

  private static DeviceRefusal refusal(Verdict verdict, int index) {
    return device(verdict, index).refusal().orElseThrow();
  }

  private static List<String> fixes(DeviceRefusal refusal) {
    return refusal.fixes().stream().map(Fix::sentence).toList();
  }

  private static List<String> steps(DeviceVerdict device) {
    return device.steps().stream().map(Step::sentence).toList();
  }

  @Test
  void shouldAdmitWhatIsDefinedWithTheStepThatStartsIt() {
    HostTopology host = host(1, 0, defined(1, GPU, "small", "manual"));
    Verdict verdict = check(host, mdev(1));
    assertThat(verdict.admitted()).isTrue();
    assertThat(steps(device(verdict, 0)))
        .containsExactly(
            "start mdev %s, a small on %s: mdevctl start -p %s -u %s"
                .formatted(uuid(1), GPU, GPU, uuid(1)));
  }

  @Test
  void shouldRefuseWhatNothingDefines() {
    Verdict verdict = check(host(1, 0, defined(1, GPU, "small", "manual")), mdev(2));
    assertThat(refusal(verdict, 0).code()).isEqualTo(RefusalCode.Host.NO_SUCH_DEVICE);
  }

  @Test
  void shouldCountWhatElseIsAskedFor() {
    HostTopology host =
        host(1, 1, defined(1, GPU, "small", "manual"), defined(2, GPU, "small", "manual"));
    Verdict verdict = check(host, mdev(1), mdev(2));
    assertThat(device(verdict, 0).refused()).isFalse();
    assertThat(refusal(verdict, 1).code().name()).isEqualTo("MDEV_INSTANCES");
    assertThat(refusal(verdict, 1).errno()).contains(Errno.ENOSPC);
    assertThat(fixes(refusal(verdict, 1)))
        .containsExactly(
            "define mdev %s as big: mdevctl modify -p %s -u %s -t big --manual"
                .formatted(uuid(2), GPU, uuid(2)));
  }

  @Test
  void shouldCountWhatIsMadeForAnEmulatedOne() {
    HostTopology host = host(1, 0, defined(1, GPU, "small", "manual"));
    Verdict verdict = check(host, mdev(1), DeviceRequest.emulated(GPU).ofType("small"));
    assertThat(refusal(verdict, 1).code().name()).isEqualTo("MDEV_INSTANCES");
  }

  @Test
  void shouldCountWhatStartsByItself() {
    HostTopology host =
        host(1, 0, defined(1, GPU, "small", "manual"), defined(2, GPU, "small", "auto"));
    Verdict verdict = check(host, mdev(1));
    assertThat(refusal(verdict, 0).code().name()).isEqualTo("MDEV_INSTANCES");
    assertThat(fixes(refusal(verdict, 0)))
        .containsExactly(
            "keep mdev %s from starting by itself: mdevctl modify -p %s -u %s --manual"
                .formatted(uuid(2), GPU, uuid(2)));
  }

  @Test
  void shouldNotCountWhatIsActiveTwice() {
    HostTopology host =
        new SmallHost()
            .function(GPU, 1, "acme")
            .mdevs(
                """
                "mdevParents":[{"device":"%1$s","types":[{"id":"small","availableInstances":1}]}],
                "mdevs":[{"uuid":"%2$s","parent":"%1$s","type":"small","group":9}],
                "mdevDefinitions":[%3$s,%4$s]
                """
                    .formatted(
                        GPU,
                        uuid(1),
                        defined(1, GPU, "small", "auto"),
                        defined(2, GPU, "small", "auto")))
            .build();
    Verdict verdict = check(host, mdev(1), mdev(2));
    assertThat(verdict.admitted()).isTrue();
    assertThat(device(verdict, 0).steps()).isEmpty();
    assertThat(device(verdict, 1).steps()).hasSize(1);
  }

  @Test
  void shouldGiveAStartedOneToOneVmOnly() {
    HostTopology host = host(5, 0, defined(1, GPU, "small", "manual"));
    Request request = Request.of(VmRequest.of("web", mdev(1)), VmRequest.of("db", mdev(1)));
    List<VmVerdict> vms = Check.verdict(request, host, OPTIONS).findings().vms();
    assertThat(vms.get(0).devices().getFirst().refused()).isFalse();
    assertThat(vms.get(1).devices().getFirst().refusal().orElseThrow().holder())
        .hasValueSatisfying(h -> assertThat(h.vm()).isEqualTo("web"));
  }

  @Test
  void shouldRefuseATypeThatIsNotOfferedAndOfferOneThatIs() {
    HostTopology host = host(0, 2, defined(1, GPU, "huge", "manual"));
    DeviceRefusal refusal = refusal(check(host, mdev(1)), 0);
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_NOT_OFFERED);
    assertThat(refusal.message()).endsWith("which offers no such type, only big, small");
    assertThat(fixes(refusal)).first().asString().endsWith("-t big --manual");
  }

  @Test
  void shouldRefuseAParentThatOffersNothing() {
    DeviceRefusal refusal =
        refusal(check(host(1, 1, defined(1, OTHER, "small", "auto")), mdev(1)), 0);
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_NOT_OFFERED);
    assertThat(refusal.message()).contains("offers no mediated devices now");
  }

  @Test
  void shouldTakeOfSeveralParentsTheOneThatOffersIt() {
    HostTopology host =
        host(1, 1, defined(1, OTHER, "small", "manual"), defined(1, GPU, "big", "manual"));
    assertThat(steps(device(check(host, mdev(1)), 0)))
        .first()
        .asString()
        .contains("a big on " + GPU);
  }

  @Test
  void shouldAssumeWhatTheSourceDoesNotCount() {
    Verdict verdict =
        check(host("{\"id\":\"small\"}", defined(1, GPU, "small", "manual")), mdev(1));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.findings().assumed())
        .contains(new Assumption(GPU, "how many instances of small are left", "enough"));
  }

  @Test
  void shouldRefuseTheParentToWhoAsksForItWhole() {
    HostTopology host = host(1, 0, defined(1, GPU, "small", "manual"));
    DeviceRefusal refusal = refusal(check(host, DeviceRequest.whole(GPU), mdev(1)), 0);
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_IN_USE);
  }

  @Test
  void shouldReadADefinitionOfOursAsTheWrappedFunction() {
    HostTopology host = host(0, 0, defined(1, OTHER, "vfio4j-wrapped", "manual"));
    DeviceVerdict device = device(check(host, mdev(1)), 0);
    assertThat(device.request()).isEqualTo(DeviceRequest.wrapped(OTHER));
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> check(host, mdev(1), DeviceRequest.wrapped(OTHER)))
        .withMessageContaining("vms.web.devices: wrap " + OTHER + " stands there twice");
  }

  @Test
  void shouldGiveAWrappedFunctionToOneVmByWhateverName() {
    HostTopology host = host(0, 0, defined(1, OTHER, "vfio4j-wrapped", "manual"));
    Map<DeviceRequest, String> others =
        Map.of(
            mdev(1), "MDEV_INSTANCES",
            DeviceRequest.wrapped(OTHER), "MDEV_INSTANCES",
            DeviceRequest.whole(OTHER), "BACKING_GROUP_HELD");
    others.forEach(
        (other, code) -> {
          Request request = Request.of(VmRequest.of("web", mdev(1)), VmRequest.of("db", other));
          List<VmVerdict> vms = Check.verdict(request, host, OPTIONS).findings().vms();
          assertThat(vms.get(0).devices().getFirst().refused()).isFalse();
          assertThat(vms.get(1).devices().getFirst().refusal().orElseThrow().code().name())
              .as(other.toString())
              .isEqualTo(code);
        });
  }

  @Test
  void shouldGiveAWrappedFunctionAndTheRestOfItsGroupToOneVm() {
    HostTopology host =
        new SmallHost()
            .function(OTHER, 2, "vfio-pci")
            .function("0000:02:00.1", 2, "vfio-pci")
            .reserved(2)
            .mdevs("\"mdevDefinitions\":[" + defined(1, OTHER, "vfio4j-wrapped", "manual") + "]")
            .build();
    DeviceRequest rest = DeviceRequest.whole("0000:02:00.1");
    assertThat(check(host, mdev(1), rest).admitted()).isTrue();
    Request two = Request.of(VmRequest.of("web", mdev(1)), VmRequest.of("db", rest));
    assertThat(Check.verdict(two, host, OPTIONS).admitted()).isFalse();
  }

  @Test
  void shouldNotWrapAFunctionOfWhichAnotherVmHasAnMdev() {
    HostTopology host =
        host(1, 0, defined(1, GPU, "small", "manual"), defined(2, GPU, "vfio4j-wrapped", "manual"));
    Request request = Request.of(VmRequest.of("web", mdev(1)), VmRequest.of("db", mdev(2)));
    List<VmVerdict> vms = Check.verdict(request, host, OPTIONS).findings().vms();
    DeviceRefusal refusal = vms.get(1).devices().getFirst().refusal().orElseThrow();
    assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_IN_USE);
    assertThat(refusal.message())
        .isEqualTo("mdev %s cannot be started when acme, which makes it, leaves %s", uuid(1), GPU);
  }

  @Test
  void shouldNotChooseBetweenAWrappedFunctionAndAnythingElseOfItsName() {
    String wrapped = defined(1, OTHER, "vfio4j-wrapped", "manual");
    List<HostTopology> hosts =
        List.of(
            host(1, 0, wrapped, defined(1, GPU, "small", "manual")),
            host(1, 0, wrapped, defined(1, "matrix", "ap", "auto")),
            host(0, 0, wrapped, defined(1, GPU, "vfio4j-wrapped", "manual")),
            new SmallHost()
                .function(GPU, 1, "acme")
                .function(OTHER, 2, "vfio-pci")
                .mdevs(
                    "\"mdevs\":[{\"uuid\":\"%s\",\"parent\":\"%s\",\"type\":\"small\",\"group\":9}],\"mdevDefinitions\":[%s]"
                        .formatted(uuid(1), GPU, wrapped))
                .build());
    for (HostTopology host : hosts) {
      DeviceRefusal refusal = refusal(check(host, mdev(1)), 0);
      assertThat(refusal.code()).isEqualTo(RefusalCode.Host.MDEV_NOT_OFFERED);
      assertThat(refusal.message()).contains("wrap " + OTHER, " and ", "a UUID of its own");
    }
  }

  @Test
  void shouldRefuseADefinitionOfOursWithoutAFunction() {
    DeviceRefusal refusal =
        refusal(check(host(0, 0, defined(1, "matrix", "vfio4j-wrapped", "manual")), mdev(1)), 0);
    assertThat(refusal.message())
        .isEqualTo(
            "mdev %s is defined as vfio4j-wrapped on matrix, which is no PCI function", uuid(1));
  }

  @Test
  void shouldLeaveAWrappedFunctionToNoKernel() {
    HostTopology host =
        host(
            1,
            0,
            defined(1, OTHER, "vfio4j-wrapped", "auto"),
            defined(2, "matrix", "vfio4j-wrapped", "auto"),
            defined(3, GPU, "small", "manual"));
    assertThat(mdev(1).definition(host)).isEmpty();
    assertThat(mdev(2).definition(host)).isEmpty();
    assertThat(mdev(3).definition(host)).isPresent();
  }

  @Test
  void shouldWarnOfWhatMdevctlStartsAtBootOfAWrappedFunction() {
    HostTopology host =
        host(
            1,
            0,
            defined(1, GPU, "vfio4j-wrapped", "auto"),
            defined(2, GPU, "small", "auto"),
            defined(3, OTHER, "vfio4j-wrapped", "auto"));
    Verdict verdict = check(host, mdev(1));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.findings().warnings())
        .extracting(w -> w.kind().word() + " " + w.message())
        .containsExactly(
            "started-at-boot mdevctl is told to start %1$s, the wrapped %2$s, at boot, and cannot: keep mdev %1$s from starting by itself: mdevctl modify -p %2$s -u %1$s --manual"
                .formatted(uuid(1), GPU),
            "started-at-boot mdevctl starts %1$s, a small on %2$s, at boot, and it goes when that is wrapped: keep mdev %1$s from starting by itself: mdevctl modify -p %2$s -u %1$s --manual"
                .formatted(uuid(2), GPU));
  }

  @Test
  void shouldWriteWhatIsDefinedForProxmox() {
    HostTopology host = host(1, 0, defined(1, GPU, "small", "manual"));
    assertThat(Written.PROXMOX.text(Request.of(VmRequest.of("web", mdev(1))), host))
        .contains("hostpci0: " + GPU + ",mdev=small");
  }
}
