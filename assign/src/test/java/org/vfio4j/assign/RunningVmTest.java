// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/** What runs on a host already, and a VM that is to run beside it. */
class RunningVmTest {
  private static final int RUNNING = 40;

  /** A host of cards with two functions each, a group a card. */
  private static HostTopology host(String driver) {
    SmallHost host = new SmallHost();
    for (int card = 1; card <= RUNNING + 1; card++) {
      host.function(address(card, 0), card, card <= RUNNING ? driver : "igb");
      host.function(address(card, 1), card, card <= RUNNING ? driver : "none");
      host.reserved(card);
    }
    return host.build();
  }

  private static String address(int card, int function) {
    return "0000:%02x:00.%d".formatted(card, function);
  }

  private static List<RunningVm> forty() {
    return IntStream.rangeClosed(1, RUNNING)
        .mapToObj(i -> RunningVm.ofProcess("vm" + i, 1000 + i, Set.of(i)))
        .toList();
  }

  private static Verdict ask(HostTopology host, String... devices) {
    VmRequest vm = VmRequest.of("vm41");
    for (String device : devices) {
      vm = vm.plus(DeviceRequest.whole(device));
    }
    return Check.verdict(Request.of(vm).beside(forty()), host, Options.DEFAULT);
  }

  @Test
  void shouldAdmitTheFortyFirstVmWhereFortyRun() {
    Verdict verdict = ask(host("vfio-pci"), address(41, 0), address(41, 1));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.vms()).hasSize(1);
    assertThat(verdict.assumed()).isEmpty();
  }

  @Test
  void shouldNameTheRunningHolderAndTakeNothingFromIt() {
    DeviceVerdict refused =
        ask(host("vfio-pci"), address(7, 1)).devices().findFirst().orElseThrow();
    DeviceRefusal refusal = refused.refusal().orElseThrow();
    assertThat(refusal.errno()).contains(Errno.EBUSY);
    assertThat(refusal.code().name()).isEqualTo("GROUP_OPEN");
    assertThat(refusal.holder())
        .contains(
            new DeviceRefusal.HolderVm(
                "vm7", List.of(address(7, 0), address(7, 1)), true, OptionalLong.of(1007)));
    assertThat(refusal.fixes())
        .containsExactly(
            new Fix.AskFor(
                "vm41",
                DeviceRequest.whole(address(7, 1)),
                org.vfio4j.host.PciAddress.parse(address(41, 0)),
                41));
  }

  @Test
  void shouldRefuseTheSecondOfTwoThatAskWhatOneHas() {
    Verdict verdict = ask(host("vfio-pci"), address(3, 0), address(41, 0), address(4, 0));
    assertThat(verdict.devices().map(DeviceVerdict::refused)).containsExactly(true, false, true);
  }

  /** An older capture still has the drivers of the host. */
  @Test
  void shouldLetWhatRunsCountWhereACaptureSaysOtherwise() {
    Verdict verdict = ask(host("igb"), address(41, 0), address(41, 1));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.assumed())
        .hasSize(2 * RUNNING)
        .contains(new Assumption(address(7, 0), "driver under vm7", "vfio-pci"));
    RunningVm one = RunningVm.holding("db", address(1, 0));
    Request request =
        Request.of(VmRequest.of("web", DeviceRequest.whole(address(1, 1)))).beside(List.of(one));
    Verdict sibling = Check.verdict(request, host("igb"), Options.DEFAULT);
    assertThat(sibling.admitted()).isFalse();
    assertThat(sibling.assumed())
        .extracting(Assumption::toString)
        .anySatisfy(a -> assertThat(a).contains(address(1, 1)).contains("none"));
  }

  /** A VM of the request that runs already gets its devices while it runs. */
  @Test
  void shouldPlugIntoTheVmThatHasTheGroup() {
    HostTopology host = host("vfio-pci");
    Request request =
        Request.of(VmRequest.of("vm7", DeviceRequest.whole(address(7, 1)))).beside(forty());
    assertThat(Check.verdict(request, host, Options.DEFAULT).admitted()).isTrue();
  }

  @Test
  void shouldKeepAddressSpacesOfAVmWithAnIommuApart() {
    RunningVm db =
        new RunningVm("db", OptionalLong.empty(), true, Set.of(), List.of(address(1, 0)));
    HostTopology host = host("vfio-pci");
    Request request =
        Request.of(VmRequest.of("db", DeviceRequest.whole(address(1, 1))).withViommu(true))
            .beside(List.of(db));
    DeviceRefusal refusal =
        Check.verdict(request, host, Options.DEFAULT)
            .devices()
            .findFirst()
            .flatMap(DeviceVerdict::refusal)
            .orElseThrow();
    assertThat(refusal.code().name()).isEqualTo("MULTIPLE_ADDRESS_SPACES");
  }

  @Test
  void shouldRefuseWhatCannotRunThere() {
    List<List<RunningVm>> wrong = new ArrayList<>();
    wrong.add(List.of(RunningVm.ofProcess("db", 1, Set.of(99))));
    wrong.add(List.of(RunningVm.holding("db", "0000:7f:00.0")));
    wrong.add(
        List.of(RunningVm.holding("db", address(1, 0)), RunningVm.holding("web", address(1, 1))));
    HostTopology host = host("vfio-pci");
    Request request = Request.of(VmRequest.of("vm41", DeviceRequest.whole(address(41, 0))));
    for (List<RunningVm> running : wrong) {
      assertThatExceptionOfType(BadInputException.class)
          .isThrownBy(() -> Check.verdict(request.beside(running), host, Options.DEFAULT))
          .withMessageContaining("running.");
    }
  }

  @Test
  void shouldReadWhatRunsFromTheFile() {
    Request request =
        RequestReader.read(
            "t.yaml",
            "host: x\nvms: {a: {devices: [0000:29:00.0]}}\nrunning:\n  db:\n    pid: 812\n"
                + "    viommu: true\n    holds: [12, 02:00.0]\n");
    assertThat(request.running())
        .containsExactly(
            new RunningVm("db", OptionalLong.of(812), true, Set.of(12), List.of("0000:02:00.0")));
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(
            () ->
                RequestReader.read(
                    "t.yaml", "host: x\nvms: {a: {devices: []}}\nrunning: {db: {holds: [eth0]}}"))
        .withMessageContaining("t.yaml:3: running.db.holds[0]: ");
  }
}
