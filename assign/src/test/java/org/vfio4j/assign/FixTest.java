// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciFunction;
import org.vfio4j.profile.KernelProfile;

/** Fixes are values: what they say is what they do, and nobody else pays for it. */
class FixTest {
  private static final String A = "0000:01:00.0";
  private static final String B = "0000:01:00.1";
  private static final String C = "0000:01:00.2";

  static Stream<String> examples() {
    return Examples.names();
  }

  private static long refusals(Verdict verdict) {
    return verdict.devices().filter(DeviceVerdict::refused).count();
  }

  private static List<Fix> fixes(Verdict verdict) {
    List<Fix> fixes = new ArrayList<>();
    verdict.devices().flatMap(d -> d.refusal().stream()).forEach(r -> fixes.addAll(r.fixes()));
    return fixes;
  }

  /** Applies each fix, and asks again. */
  private static void checkEach(Request request, HostTopology host, Options options) {
    Verdict before = Check.verdict(request, host, options);
    for (Fix fix : fixes(before)) {
      Fix.Changed after = fix.apply(request, host);
      // The run alone: what to change is not asked once more.
      long left =
          new Run(after.request(), after.host(), options)
              .verdicts().stream()
                  .flatMap(v -> v.devices().stream())
                  .filter(DeviceVerdict::refused)
                  .count();
      assertThat(left).as(fix.sentence()).isLessThan(refusals(before));
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldRefuseLessAfterEachFixOfTheMatrix(String name) {
    for (KernelProfile kernel : KernelProfile.all()) {
      Options options = new Options(kernel, false, Set.of());
      checkEach(Examples.request(name), Examples.host(name), options);
    }
  }

  /** Every function of every captured host, each asked for by a VM of its own. */
  @Test
  void shouldRefuseLessAfterEachFixOnTheCapturedHosts() {
    Examples.hosts()
        .filter(host -> host.functions().size() < 60)
        .forEach(
            host -> {
              List<VmRequest> vms =
                  host.functions().stream()
                      .filter(f -> !f.isBridge().orElse(false))
                      .map(PciFunction::address)
                      .map(
                          a ->
                              VmRequest.of(
                                  "vm-" + a.toString().replace(':', '-'),
                                  DeviceRequest.whole(a.toString())))
                      .toList();
              if (!vms.isEmpty()) {
                checkEach(Request.of(vms.toArray(VmRequest[]::new)), host, Options.DEFAULT);
              }
            });
  }

  @Test
  void shouldGiveTheSameVerdictForWhatAFixLeavesAlone() {
    Request request = Examples.request("matrix/4.yaml");
    HostTopology host = Examples.host("matrix/4.yaml");
    Fix fix = fixes(Check.verdict(request, host, Options.DEFAULT)).getFirst();
    assertThat(fix).isEqualTo(new Fix.Move(DeviceRequest.whole(B), "db", "web"));
    Fix.Changed after = fix.apply(request, host);
    assertThat(after.host()).isEqualTo(host);
    assertThat(after.request().vm("db").orElseThrow().devices()).isEmpty();
    assertThat(after.request().vm("web").orElseThrow().devices())
        .containsExactly(DeviceRequest.wrapped(A), DeviceRequest.whole(B));
  }

  /** B13: to take the device from the VM that has it works, and is no fix. */
  @Test
  void shouldTakeNothingFromAnotherVmOfTheRequest() {
    for (String name : List.of("matrix/1.yaml", "matrix/4.yaml")) {
      Request request = Examples.request(name);
      HostTopology host = Examples.host(name);
      for (Fix fix : fixes(Check.verdict(request, host, Options.DEFAULT))) {
        Request after = fix.apply(request, host).request();
        assertThat(after.vm("web").orElseThrow().devices())
            .containsAll(request.vm("web").orElseThrow().devices());
      }
    }
  }

  private static SmallHost threeOfAGroup(String more) {
    return new SmallHost()
        .function(A, 1, "igb")
        .function(B, 1, "i915", more)
        .function(C, 1, "none")
        .reserved(1);
  }

  @Test
  void shouldUnbindASiblingThatNobodyNeeds() {
    HostTopology host = threeOfAGroup("\"numVfs\":0").build();
    Request request = Request.of(VmRequest.of("web", DeviceRequest.whole(A)));
    List<Fix> fixes = fixes(Check.verdict(request, host, Options.DEFAULT));
    assertThat(fixes.getFirst()).isInstanceOf(Fix.Unbind.class);
    assertThat(fixes.getFirst().sentence()).isEqualTo("unbind " + B + " from i915");
  }

  /** B13: the mediated devices of a parent, and the functions it has switched on, go with it. */
  @Test
  void shouldNotUnbindWhatOthersLiveOn() {
    Request request = Request.of(VmRequest.of("web", DeviceRequest.whole(A)));
    HostTopology parent =
        threeOfAGroup("\"numVfs\":0")
            .mdevs(
                "\"mdevs\":[{\"uuid\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\",\"parent\":\""
                    + B
                    + "\",\"type\":\"t\",\"group\":7}]")
            .build();
    assertThat(fixes(Check.verdict(request, parent, Options.DEFAULT)))
        .containsExactly(new Fix.LeaveOut("web", DeviceRequest.whole(A)));
    HostTopology physical =
        threeOfAGroup("\"numVfs\":1")
            .raw(
                "{\"address\":\"0000:01:02.0\",\"header\":\"normal\",\"driver\":\"vfio-pci\",\"group\":9,"
                    + "\"physfn\":\""
                    + B
                    + "\"}")
            .build();
    RunningVm db = RunningVm.holding("db", "0000:01:02.0");
    assertThat(fixes(Check.verdict(request.beside(List.of(db)), physical, Options.DEFAULT)))
        .containsExactly(new Fix.LeaveOut("web", DeviceRequest.whole(A)));
  }
}
