// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.MdevDefinition;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code vfio define} and {@code undefine} on a tree of files; MdevctlTest asks mdevctl. */
class DefineCommandTest {
  private static final String NIC = "0000:03:00.0";
  private static final String GPU = "0000:01:00.0";
  private static final String BRIDGE = "0000:00:01.0";
  private static final String ONE = "c0ffee00-0000-4000-8000-000000000001";
  private static final String TWO = "c0ffee00-0000-4000-8000-000000000002";

  @TempDir private Path root;

  private Path file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  private Path define(String parent, String uuid, String type, String start) throws IOException {
    return file(
        "etc/mdevctl.d/" + parent + "/" + uuid,
        "{\"mdev_type\":\"%s\",\"start\":\"%s\",\"attrs\":[]}".formatted(type, start));
  }

  @BeforeEach
  void build() throws IOException {
    file("sys/bus/pci/devices/" + NIC + "/class", "0x020000\n");
    file("sys/bus/pci/devices/" + GPU + "/class", "0x030000\n");
    file("sys/bus/pci/devices/" + BRIDGE + "/class", "0x060400\n");
  }

  private Ran ask(String... words) {
    return Ran.vfio(Stream.concat(Stream.of(words), Stream.of("--root", root)).toArray());
  }

  private List<MdevDefinition> defined() {
    return HostSource.read(root).getFirst().mdevDefinitions();
  }

  private static void assertRefused(Ran ran, String... saying) {
    assertThat(ran.status()).isEqualTo(Main.REFUSED);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).hasLineCount(1).contains(saying);
  }

  @Test
  void shouldWriteWhatHostListsAndRemoveIt() throws IOException {
    Ran ran = ask("define", "03:00.0", "--uuid", ONE.toUpperCase(Locale.ROOT));
    assertThat(ran.status()).as(ran.err()).isZero();
    assertThat(ran.out()).isEqualTo(ONE + "  wrapped " + NIC + "  defined\n");
    Path folder = root.resolve("etc/mdevctl.d");
    Path file = folder.resolve(NIC + "/" + ONE);
    assertThat(file)
        .hasContent(
            "{\n"
                + "  \"mdev_type\": \"vfio4j-wrapped\",\n"
                + "  \"start\": \"manual\",\n"
                + "  \"attrs\": []\n"
                + "}");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-r--r--");
    try (Stream<Path> all = Files.list(folder)) {
      assertThat(all).as("nothing of the writing is left").containsExactly(folder.resolve(NIC));
    }
    assertThat(Ran.on(200, false, "host", root).lines())
        .contains("  " + ONE + " wrapped " + NIC + ": defined for 'vfio up'");
    Ran gone = ask("undefine", NIC);
    assertThat(gone.out()).isEqualTo(ONE + "  wrapped " + NIC + "  removed\n");
    assertThat(file).doesNotExist();
  }

  @Test
  void shouldBeWhatACheckTakesForTheWrappedFunction() throws IOException {
    Path group = Files.createDirectories(root.resolve("sys/kernel/iommu_groups/7/devices"));
    Path device = root.resolve("sys/bus/pci/devices/" + NIC);
    Files.createSymbolicLink(group.resolve(NIC), device);
    Files.createSymbolicLink(device.resolve("iommu_group"), group.getParent());
    Path request = file("vms.yaml", "host: .\nvms:\n  web: {devices: [%s]}\n".formatted(ONE));
    assertThat(Ran.vfio("check", request).status()).isEqualTo(Main.BAD_INPUT);
    assertThat(ask("define", NIC, "--uuid", ONE).status()).isZero();
    Ran admitted = Ran.vfio("check", request);
    assertThat(admitted.status()).as(admitted.out() + admitted.err()).isZero();
    assertThat(admitted.out()).contains("✓ " + NIC + "  wrapped   group ", "backed by group 7");
    file(
        "vms.yaml",
        "host: .\nvms: {web: {devices: [%s]}, db: {devices: [%s]}}".formatted(ONE, NIC));
    Ran refused = Ran.vfio("check", request);
    assertThat(refused.status()).isEqualTo(Main.REFUSED);
    assertThat(refused.out()).contains("web has it through");
  }

  @Test
  void shouldLeaveAsItIsWhatIsDefinedAlready() throws IOException {
    assertThat(ask("define", NIC).status()).isZero();
    MdevDefinition first = defined().getFirst();
    Path file = root.resolve(first.file());
    // As mdevctl writes it, without the last line break.
    Files.writeString(file, first.json().strip());
    for (String[] again :
        new String[][] {{"define", NIC}, {"define", NIC, "--uuid", first.uuid().toString()}}) {
      assertThat(ask(again).out()).isEqualTo(first.uuid() + "  wrapped " + NIC + "  as it was\n");
    }
    assertThat(file).hasContent(first.json().strip());
    assertThat(defined()).containsExactly(first);
  }

  @Test
  void shouldSayAllOfItInJson() {
    JsonNode said = new JsonMapper().readTree(ask("define", NIC, "--uuid", ONE, "--json").out());
    assertThat(said.path("uuid").asString()).isEqualTo(ONE);
    assertThat(said.path("parent").asString()).isEqualTo(NIC);
    assertThat(said.path("type").asString()).isEqualTo("vfio4j-wrapped");
    assertThat(said.path("file").asString()).endsWith("/etc/mdevctl.d/" + NIC + "/" + ONE);
    assertThat(said.path("changed").asBoolean()).isTrue();
    Ran again = ask("define", NIC, "--json");
    assertThat(new JsonMapper().readTree(again.out()).path("changed").asBoolean(true)).isFalse();
    Ran other = ask("define", NIC, "--uuid", TWO, "--json");
    assertThat(other.status()).isEqualTo(Main.REFUSED);
    assertThat(other.out()).startsWith("{\"error\":\"" + NIC).contains("\"status\":1");
    Ran removed = ask("undefine", ONE, "--json");
    assertThat(new JsonMapper().readTree(removed.out()).path("changed").asBoolean()).isTrue();
  }

  @Test
  void shouldRefuseASecondUuidAndAUuidOfSomethingElse() throws IOException {
    define(GPU, ONE, "small", "manual");
    assertRefused(
        ask("define", NIC, "--uuid", ONE), ONE + " is defined already, as a small on " + GPU);
    assertThat(ask("define", NIC, "--uuid", TWO).status()).isZero();
    assertRefused(ask("define", NIC, "--uuid", ONE), "'vfio undefine " + TWO + "' first");
    assertRefused(ask("define", GPU, "--uuid", TWO), TWO + " is defined already");
    assertThat(defined()).hasSize(2);
  }

  @Test
  void shouldRefuseAFunctionThatMakesMdevsAtBoot() throws IOException {
    define(GPU, ONE, "small", "auto");
    assertRefused(
        ask("define", GPU), "mdevctl modify -p " + GPU + " -u " + ONE + " --manual' first");
    define(GPU, ONE, "small", "manual");
    assertThat(ask("define", GPU).status()).isZero();
  }

  @Test
  void shouldRefuseAFunctionThatHasMadeMdevs() throws IOException {
    Path made = root.resolve("sys/devices/pci0000:00/" + GPU + "/" + ONE);
    Files.createDirectories(made);
    Files.createDirectories(root.resolve("sys/bus/mdev/devices"));
    Files.createSymbolicLink(root.resolve("sys/bus/mdev/devices/" + ONE), made);
    assertRefused(ask("define", GPU), "'mdevctl stop -u " + ONE + "' first");
    assertRefused(
        ask("define", NIC, "--uuid", ONE), ONE + " is the UUID of a mediated device on " + GPU);
  }

  @Test
  void shouldRefuseOneThatIsToStartAtBoot() throws IOException {
    define(NIC, ONE, "vfio4j-wrapped", "auto");
    assertRefused(ask("define", NIC), "mdevctl modify -p " + NIC + " -u " + ONE + " --manual'");
    assertThat(ask("undefine", NIC).status()).isZero();
    assertThat(ask("define", NIC, "--uuid", ONE).out()).endsWith("defined\n");
  }

  @Test
  void shouldNotReplaceWhatCannotBeRead() throws IOException {
    Path broken = file("etc/mdevctl.d/" + NIC + "/" + ONE, "{");
    assertRefused(ask("define", NIC, "--uuid", ONE), "is there already, and is no definition", ONE);
    assertThat(broken).hasContent("{");
    Path instead = file("etc/mdevctl.d/" + GPU, "a file");
    assertRefused(ask("define", GPU), GPU + " is there already");
    assertThat(instead).hasContent("a file");
  }

  @Test
  void shouldRefuseABridgeAndWhatIsNotThere() {
    assertRefused(ask("define", BRIDGE), BRIDGE + " is a bridge");
    for (Ran bad :
        List.of(
            ask("define", "0000:0f:00.0"),
            ask("define", NIC, "--uuid", "x"),
            ask("define", "x"),
            ask("undefine", "x"),
            ask("undefine", NIC),
            ask("undefine", ONE),
            Ran.vfio("define", NIC, "--root", root.resolve("none")))) {
      assertThat(bad.status()).isEqualTo(Main.BAD_INPUT);
      assertThat(bad.err()).hasLineCount(1);
    }
    assertThat(root.resolve("etc")).doesNotExist();
  }

  @Test
  void shouldRemoveOneOfOursAndNoOther() throws IOException {
    Path theirs = define(GPU, ONE, "small", "manual");
    assertRefused(
        ask("undefine", ONE),
        "a small on " + GPU,
        "'mdevctl undefine -p %s -u %s'".formatted(GPU, ONE));
    define(NIC, TWO, "vfio4j-wrapped", "manual");
    define(GPU, TWO, "vfio4j-wrapped", "manual");
    assertRefused(ask("undefine", TWO), TWO + " on " + GPU + ", " + TWO + " on " + NIC);
    assertThat(ask("undefine", NIC).status()).isZero();
    assertThat(ask("undefine", TWO).status()).isZero();
    assertThat(theirs).exists();
    assertThat(defined()).hasSize(1);
  }
}
