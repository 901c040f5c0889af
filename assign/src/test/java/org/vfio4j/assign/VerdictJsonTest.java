// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciAddress;
import org.vfio4j.profile.KernelProfile;

/** The published schema of verdicts, applied by a validator that is not ours. */
class VerdictJsonTest {
  private static Schema schema = emptySchema();

  private static Schema emptySchema() {
    return SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12).getSchema("{}");
  }

  @BeforeAll
  static void load() throws IOException {
    try (InputStream in = VerdictJson.class.getResourceAsStream("verdict.schema.json")) {
      String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
      schema =
          SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12).getSchema(text);
    }
  }

  private static List<String> errors(String json) {
    return schema.validate(json, InputFormat.JSON).stream().map(Error::toString).toList();
  }

  static Stream<String> examples() {
    return Examples.names();
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldMatchItsSchemaForEveryExampleAndKernel(String name) {
    for (KernelProfile kernel : KernelProfile.all()) {
      Options options = new Options(kernel, false, Set.of());
      Verdict verdict = Check.verdict(Examples.request(name), Examples.host(name), options);
      String json = VerdictJson.text(verdict);
      assertThat(errors(json)).as(json).isEmpty();
      assertThat(json).contains("\"kernel\":\"" + kernel.name() + "\"");
    }
  }

  @Test
  void shouldMatchItsSchemaBesideWhatRuns() {
    HostTopology host = Examples.host("matrix/1.yaml");
    Request request =
        Request.of(VmRequest.of("web", DeviceRequest.whole("0000:01:00.1")))
            .beside(List.of(RunningVm.ofProcess("db", 812, Set.of(1))));
    String json = VerdictJson.text(Check.verdict(request, host, Options.DEFAULT));
    assertThat(errors(json)).as(json).isEmpty();
    assertThat(json).contains("\"vm\":\"db\"", "\"running\":true", "\"pid\":812");
  }

  /** One of each kind, so that the schema knows them all. */
  @Test
  void shouldMatchItsSchemaForEveryKindOfFix() {
    PciAddress a = PciAddress.parse("0000:01:00.0");
    DeviceRequest device = DeviceRequest.whole(a.toString());
    List<Fix> fixes =
        List.of(
            new Fix.Together(List.of(new Fix.LeaveOut("web", device), new Fix.RemapInterrupts())),
            new Fix.Unbind(List.of(Examples.host("matrix/1.yaml").function(a).orElseThrow())),
            new Fix.GiveToo("web", List.of(a)),
            new Fix.Move(device, "web", "db"),
            new Fix.ShareAddressSpace("web"),
            new Fix.AskWhole("web", a),
            new Fix.RaiseMemlock("web", 1L << 30, 2),
            new Fix.LessMemory("web", 1L << 30),
            new Fix.AskFor("web", device, a, 3),
            new Fix.LeaveOut("web", device),
            new Fix.UseToken("web", device, a, Optional.of("db"), Optional.of(Fix.tokenOf(a))),
            new Fix.RemapInterrupts(),
            new Fix.AllowUnsafeInterrupts(),
            new Fix.RaiseEntryLimit(9),
            new Fix.ReleasePhysical(a),
            new Fix.NoVirtualFunctions(a),
            new Fix.ShowGroups(a, true),
            new Fix.StartManually(MdevDefinition.wrapped(UUID.randomUUID(), a)),
            new Fix.DefineAs(MdevDefinition.wrapped(UUID.randomUUID(), a), "other"));
    assertThat(fixes.stream().map(Object::getClass).distinct()).hasSize(kinds());
    Verdict refused =
        Check.verdict(
            Examples.request("matrix/4.yaml"), Examples.host("matrix/4.yaml"), Options.DEFAULT);
    DeviceVerdict last = refused.devices().toList().getLast().withFixes(fixes);
    Verdict verdict =
        new Verdict.Refused(
            refused.findings().with(List.of(new VmVerdict("db", 0, List.of(last)))), Set.of());
    assertThat(errors(VerdictJson.text(verdict))).isEmpty();
  }

  @Test
  void shouldMatchItsSchemaForDevicesThatAreStartedFirst() {
    UUID uuid = UUID.fromString("c0ffee00-0000-4000-8000-000000000001");
    HostTopology host =
        new SmallHost()
            .function("0000:01:00.0", 1, "acme")
            .function(
                "0000:01:00.1",
                2,
                "nvidia",
                "\"vgpu\":{\"current\":null,\"creatable\":[{\"id\":7,\"name\":\"X-1Q\"}]}")
            .reserved(1)
            .reserved(2)
            .mdevs(
                """
                "mdevParents":[{"device":"0000:01:00.0","types":[{"id":"t","availableInstances":1}]}],
                "mdevDefinitions":
                [{"uuid":"%s","parent":"0000:01:00.0","type":"t","start":"auto"}]
                """
                    .formatted(uuid))
            .build();
    Request request =
        Request.of(
            VmRequest.of("web", DeviceRequest.mdev(uuid), DeviceRequest.whole("0000:01:00.1")));
    String json = VerdictJson.text(Check.verdict(request, host, Options.DEFAULT));
    assertThat(errors(json)).as(json).isEmpty();
    assertThat(json)
        .contains("\"step\":\"start-mdev\"", "\"step\":\"choose-vgpu\"", "\"name\":\"X-1Q\"");
  }

  /** Warnings, steps as values, what no Linux does, bad input, and why a strict check refuses. */
  @Test
  void shouldMatchItsSchemaForAllElseThatAVerdictHas() {
    HostTopology host =
        new SmallHost()
            .function("0000:01:00.0", 1, "nvme", "\"reset\":[]")
            .function("0000:01:00.1", 2, "none")
            .reserved(1)
            .reserved(2)
            .build();
    Request request =
        Request.of(
            VmRequest.of("web", DeviceRequest.whole("0000:01:00.0")),
            VmRequest.of("db", DeviceRequest.wrapped("0000:01:00.1")));
    Verdict strict = Check.verdict(request, host, Options.DEFAULT.strictly(true));
    String json = VerdictJson.text(strict);
    assertThat(errors(json)).as(json).isEmpty();
    assertThat(json)
        .contains(
            "\"strictly\":[\"beyond-linux\"]",
            "\"host\":\"small\"",
            "\"answering\":{\"basis\":\"default\",\"interface\":\"group\"}",
            "\"warning\":\"no-reset\"",
            "\"warning\":\"taken-at-boot\"",
            "\"step\":\"create-mdev\"",
            "\"step\":\"bind\"",
            "\"beyondLinux\":[{\"vm\":\"db\"");
    Request absent = Request.of(VmRequest.of("web", DeviceRequest.whole("0000:09:00.0")));
    String bad = VerdictJson.text(Check.verdict(absent, host, Options.DEFAULT));
    assertThat(errors(bad)).as(bad).isEmpty();
    assertThat(bad).contains("\"outcome\":\"bad-input\"", "\"code\":\"NO_SUCH_DEVICE\"");
  }

  private static int kinds() {
    return Stream.of(Fix.class.getPermittedSubclasses())
        .mapToInt(c -> c.isSealed() ? c.getPermittedSubclasses().length : 1)
        .sum();
  }

  @Test
  void shouldRefuseWhatIsNoVerdict() {
    assertThat(errors("{\"admitted\":true}")).isNotEmpty();
    assertThat(
            errors(
                "{\"vfio4j-verdict\":1,\"admitted\":true,\"host\":\"h\",\"kernel\":\"6.1\","
                    + "\"answering\":{\"basis\":\"host\",\"interface\":\"group\"},\"vms\":[],\"x\":1}"))
        .isNotEmpty();
  }
}
