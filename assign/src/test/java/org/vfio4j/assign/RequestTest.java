// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.input.Position;

/** Requests made of values, without a file. */
class RequestTest {
  private static final String A = "0000:01:00.0";
  private static final String B = "0000:01:00.1";

  private static HostTopology host() {
    return new SmallHost().function(A, 1, "igb").function(B, 1, "igb").reserved(1).build();
  }

  @Test
  void shouldAnswerARequestThatWasMadeOfValues() {
    Request request =
        Request.of(
            VmRequest.of("web", DeviceRequest.whole("01:00.0"), DeviceRequest.whole(B))
                .withMemory(4L << 30));
    assertThat(Check.verdict(request, host(), Options.DEFAULT).admitted()).isTrue();
  }

  @Test
  void shouldAnswerAsIfTheSameHadBeenRead() {
    Request read =
        RequestReader.read(
            "t.yaml",
            "host: x\nvms:\n  web: {devices: [01:00.0]}\n  db: {devices: [wrap: 01:00.1]}\n");
    Request made =
        Request.of(
            VmRequest.of("web", DeviceRequest.whole(A)),
            VmRequest.of("db", DeviceRequest.wrapped(B)));
    assertThat(made.vms()).isEqualTo(read.vms());
    assertThat(Check.verdict(made, host(), Options.DEFAULT))
        .isEqualTo(Check.verdict(read, host(), Options.DEFAULT));
  }

  /** The place decided which devices are the same. */
  @Test
  void shouldNotTakeThePlaceForAPartOfTheDevice() {
    DeviceRequest device = DeviceRequest.whole(A);
    DeviceRequest placed =
        new DeviceRequest(
            Mode.WHOLE,
            A,
            Optional.empty(),
            Optional.empty(),
            Optional.of(new Position("t.yaml", 3, 1, Optional.empty(), "")));
    assertThat(placed).isEqualTo(device).hasSameHashCodeAs(device);
    assertThat(DeviceRequest.aux(A)).isNotEqualTo(DeviceRequest.emulated(A));
    assertThat(DeviceRequest.aux(A)).isNotEqualTo(DeviceRequest.aux(A).ofType("wq"));
  }

  /** Equal devices of one VM, and of two, are attempts of their own. */
  @Test
  void shouldTryEachOfSeveralEqualDevices() {
    HostTopology host =
        new SmallHost()
            .function(A, 1, "igb")
            .reserved(1)
            .mdevs(
                "\"mdevParents\":[{\"device\":\""
                    + A
                    + "\",\"isolation\":\"plain\",\"types\":[{\"id\":\"t\",\"availableInstances\":2}]}]")
            .build();
    DeviceRequest emulated = DeviceRequest.emulated(A);
    Request request =
        Request.of(VmRequest.of("web", emulated, emulated), VmRequest.of("db", emulated));
    Verdict verdict = Check.verdict(request, host, Options.DEFAULT);
    assertThat(verdict.devices().map(DeviceVerdict::refused)).containsExactly(false, false, true);
    List<Fix> fixes = verdict.vms().getLast().devices().getFirst().refusal().orElseThrow().fixes();
    assertThat(fixes).containsExactly(new Fix.LeaveOut("db", emulated));
    Request after = fixes.getFirst().apply(request, host).request();
    assertThat(after.vm("web").orElseThrow().devices()).hasSize(2);
    assertThat(after.vm("db").orElseThrow().devices()).isEmpty();
  }

  @Test
  void shouldRefuseValuesThatCannotBe() {
    DeviceRequest a = DeviceRequest.whole(A);
    assertThatIllegalArgumentException().isThrownBy(() -> DeviceRequest.whole("eth0"));
    assertThatIllegalArgumentException().isThrownBy(() -> a.ofType("t"));
    assertThatIllegalArgumentException().isThrownBy(() -> VmRequest.of("a#b"));
    assertThatIllegalArgumentException().isThrownBy(() -> VmRequest.of("a", a, a));
    assertThatIllegalArgumentException().isThrownBy(() -> VmRequest.of("a").withMemory(1));
    assertThatIllegalArgumentException().isThrownBy(() -> VmRequest.of("a").withMemory(0));
    assertThatIllegalArgumentException().isThrownBy(() -> VmRequest.of("a").withMemlock(-1));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Request.of(VmRequest.of("a"), VmRequest.of("a")));
    assertThatIllegalArgumentException().isThrownBy(() -> RunningVm.holding("a#2"));
    assertThatIllegalArgumentException().isThrownBy(() -> RunningVm.holding("a", "eth0"));
  }

  @Test
  void shouldNameTheFieldOfADeviceThatTheHostHasNot() {
    UUID uuid = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    Request request =
        Request.of(VmRequest.of("web", DeviceRequest.whole(A), DeviceRequest.mdev(uuid)));
    Verdict verdict = Check.verdict(request, host(), Options.DEFAULT);
    assertThat(verdict.badInput()).isTrue();
    List<DeviceVerdict> devices = verdict.devices().toList();
    assertThat(devices.getFirst().outcome()).isNotEqualTo(DeviceVerdict.Outcome.BAD_INPUT);
    assertThat(devices.getLast().refusal().orElseThrow().message())
        .isEqualTo("request: vms.web.devices[1]: host small has no device " + uuid);
  }

  /** What a fix says about the host can be written into the request and checked again. */
  @Test
  void shouldTakeDriversFromTheRequest() {
    HostTopology host =
        new SmallHost().function(A, 1, "igb").function(B, 1, "igb").reserved(1).build();
    Request request = Request.of(VmRequest.of("web", DeviceRequest.whole(A)));
    assertThat(Check.verdict(request, host, Options.DEFAULT).admitted()).isFalse();
    Request unbound = request.withDrivers(Map.of(PciAddress.parse(B), Optional.empty()));
    assertThat(Check.verdict(unbound, host, Options.DEFAULT).admitted()).isTrue();
    Request unknown =
        request.withDrivers(Map.of(PciAddress.parse("0000:09:00.0"), Optional.of("igb")));
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Check.verdict(unknown, host, Options.DEFAULT))
        .withMessage("request: drivers.0000:09:00.0: host small has no device 0000:09:00.0");
  }
}
