// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vfio4j.host.MdevDefinition.Attribute;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.input.BadInputException;

/** Definitions in mdevctl's format: one file, and the folder of a machine. */
class MdevDefinitionTest {

  private static final String GPU = "sys/devices/pci0000:00/0000:00:02.0";
  private static final String ONE = "c0ffee00-0000-4000-8000-000000000001";
  private static final String TWO = "c0ffee00-0000-4000-8000-000000000002";
  private static final UUID UUID_ONE = UUID.fromString(ONE);

  @TempDir private Path root;

  @BeforeEach
  void build() throws IOException {
    new SysfsTree(root)
        .function(GPU, "0x030000", 1)
        .file(GPU + "/mdev_supported_types/gpu-1/available_instances", "2\n");
  }

  private void defined(String file, String text) throws IOException {
    new SysfsTree(root).file("etc/mdevctl.d/" + file, text);
  }

  private HostTopology read() {
    return HostSource.read(root).getFirst();
  }

  private static MdevDefinition parse(String json) {
    return MdevDefinition.read(
        "file", "0000:00:02.0", UUID_ONE, json.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void shouldReadBackWhatItWrites() {
    MdevDefinition definition =
        new MdevDefinition(
            UUID_ONE,
            "matrix",
            "ap-\"q\"",
            Start.AUTO,
            List.of(
                new Attribute("assign_adapter", "5"),
                new Attribute("assign_adapter", "6"),
                new Attribute("frame\nrate", "\u0001")));
    assertThat(MdevDefinition.read("file", "matrix", UUID_ONE, definition.bytes()))
        .isEqualTo(definition);
    assertThat(definition.file()).isEqualTo(Path.of("etc/mdevctl.d/matrix/" + ONE));
  }

  @Test
  void shouldTakeWhatMdevctlTakes() {
    MdevDefinition definition =
        parse("{\"mdev_type\":\"a\",\"start\":\"Auto\",\"attrs\":null,\"other\":{}}");
    assertThat(definition.start()).isEqualTo(Start.MANUAL);
    assertThat(definition.attributes()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"mdev_type\":\"a\"}|missing field 'start'",
        "{\"mdev_type\":7,\"start\":\"auto\"}|file:1: mdev_type: must be a text",
        "{\"mdev_type\":\"a/b\",\"start\":\"auto\"}|no type of mediated device: 'a/b'",
        "{\"mdev_type\":\"a\",\"start\":\"auto\",\"attrs\":[{\"a\":\"1\",\"b\":\"2\"}]}|attrs[0]:"
            + " an attribute has one field, not 2",
        "{\"mdev_type\":\"a\",\"start\":\"auto\",\"attrs\":[{\"a\":1}]}|attrs[0].a: must be a text",
        "[]|must be a map of fields",
        "{\"mdev_type\":|file:1"
      })
  void shouldRefuseWhatIsNoDefinitionWithItsPlace(String json, String message) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> parse(json))
        .withMessageContaining(message);
  }

  @Test
  void shouldRefuseAParentThatLeadsElsewhere() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new MdevDefinition(UUID_ONE, "..", "a", Start.AUTO, List.of()));
  }

  @Test
  void shouldReadDefinitionsBesideWhatIsActive() throws IOException {
    String device = GPU + "/" + ONE;
    new SysfsTree(root)
        .file(device + "/uevent", "")
        .link("sys/bus/mdev/devices/" + ONE, device)
        .link(device + "/mdev_type", GPU + "/mdev_supported_types/gpu-1");
    defined("0000:00:02.0/" + ONE, parse("{\"mdev_type\":\"gpu-1\",\"start\":\"auto\"}").json());
    defined("0000:00:02.0/" + TWO, "{\"mdev_type\":\"gpu-1\",\"start\":\"manual\"}");
    defined("matrix/" + TWO, "{\"mdev_type\":\"ap\",\"start\":\"manual\"}");
    Files.createDirectories(root.resolve("etc/mdevctl.d/scripts.d/callouts"));
    HostTopology host = read();
    assertThat(host.losses()).isEmpty();
    assertThat(host.mdevDefinitions())
        .extracting(d -> d.parent() + " " + d.uuid() + " " + d.start().word())
        .containsExactly(
            "0000:00:02.0 " + ONE + " auto",
            "0000:00:02.0 " + TWO + " manual",
            "matrix " + TWO + " manual");
    assertThat(host.mdevDefinitions()).extracting(d -> d.isActive(host)).startsWith(true, false);
    assertThat(host.mdevDefinitions(UUID.fromString(TWO))).hasSize(2);
  }

  @Test
  void shouldTellEachFileThatIsNoDefinitionAndReadTheOthers() throws IOException {
    defined("0000:00:02.0/" + ONE, "{\"mdev_type\":\"gpu-1\",");
    defined("0000:00:02.0/" + TWO, "{\"mdev_type\":\"gpu-1\",\"start\":\"manual\"}");
    defined("0000:00:02.0/" + TWO + "~", "{}");
    defined("notes.txt", "");
    HostTopology host = read();
    assertThat(host.mdevDefinitions()).extracting(d -> d.uuid().toString()).containsExactly(TWO);
    assertThat(host.losses())
        .extracting(Loss::text)
        .satisfiesExactly(
            t -> assertThat(t).startsWith("etc/mdevctl.d/0000:00:02.0/" + ONE + ":1: "),
            t ->
                assertThat(t)
                    .isEqualTo(
                        "etc/mdevctl.d/0000:00:02.0/" + TWO + "~: no file with a UUID for a name"),
            t -> assertThat(t).startsWith("etc/mdevctl.d/notes.txt: no folder of a parent"));
  }

  @Test
  void shouldCaptureDefinitions() throws IOException {
    defined(
        "0000:00:02.0/" + ONE,
        "{\"mdev_type\":\"gpu-1\",\"start\":\"auto\",\"attrs\":[{\"a\":\"1\"},{\"a\":\"2\"}]}");
    defined("0000:00:02.0/" + TWO, "{}");
    HostTopology host = read();
    String capture = CaptureWriter.write(host);
    assertThat(CaptureSchema.errors(capture)).isEmpty();
    HostTopology back =
        HostSource.parse("c.json", "c", capture.getBytes(StandardCharsets.UTF_8)).getFirst();
    assertThat(back.mdevDefinitions()).isEqualTo(host.mdevDefinitions()).hasSize(1);
    assertThat(back.losses()).isEqualTo(host.losses()).hasSize(1);
    assertThat(back.withoutDescriptions().mdevDefinitions()).hasSize(1);
  }

  @Test
  void shouldReadAWrappedFunctionOfOurs() {
    PciAddress function = PciAddress.parse("0000:01:00.0");
    MdevDefinition wrapped = MdevDefinition.wrapped(UUID_ONE, function);
    assertThat(wrapped.json()).contains("\"vfio4j-wrapped\"", "\"manual\"");
    assertThat(wrapped.wrappedFunction()).contains(function);
    assertThat(parse("{\"mdev_type\":\"gpu-1\",\"start\":\"auto\"}").wrappedFunction()).isEmpty();
  }
}
