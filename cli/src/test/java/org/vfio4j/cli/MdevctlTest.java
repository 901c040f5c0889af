// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Fix;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Step;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.MdevDefinition.Attribute;
import org.vfio4j.host.MdevDefinition.Start;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.KernelMdevs;

/**
 * The judge of definitions: mdevctl itself, on a tree of files ({@code MDEVCTL_ENV_ROOT}, which 1.3
 * and newer have). What either writes the other lists.
 */
@Timeout(60)
class MdevctlTest {
  private static final String GPU = "0000:01:00.0";
  private static final String NIC = "0000:03:00.0";
  private static final String NIC2 = "0000:04:00.0";
  private static final String ONE = "c0ffee00-0000-4000-8000-000000000001";
  private static final String TWO = "c0ffee00-0000-4000-8000-000000000002";
  private static final UUID UUID_ONE = UUID.fromString(ONE);
  private static final UUID UUID_TWO = UUID.fromString(TWO);
  private static final Pattern VERSION = Pattern.compile("mdevctl ([0-9]+)\\.([0-9]+).*");

  private static String mdevctl = "";

  @TempDir private static Path empty;

  @TempDir private Path root;

  private record Answer(int status, String out, String err) {}

  /** The machine's own, or what {@code build/mdevctl} has brought. */
  @BeforeAll
  static void find() {
    Path cache =
        Path.of(
            System.getenv()
                .getOrDefault("XDG_CACHE_HOME", System.getProperty("user.home") + "/.cache"));
    mdevctl =
        Stream.of("mdevctl", cache.resolve("vfio4j/mdevctl/mdevctl").toString())
            .filter(MdevctlTest::isNewEnough)
            .findFirst()
            .orElse("");
    assumeTrue(
        !mdevctl.isEmpty(), "skipped: no mdevctl of 1.3 or newer here; build/mdevctl brings one");
  }

  private static boolean isNewEnough(String command) {
    try {
      // It says nothing where its folders are missing.
      folders(empty);
      Matcher m = VERSION.matcher(run(empty, command, "--version").out().strip());
      return m.matches() && (Integer.parseInt(m.group(1)) > 1 || Integer.parseInt(m.group(2)) >= 3);
    } catch (IOException e) {
      return false;
    }
  }

  private static void folders(Path root) throws IOException {
    Files.createDirectories(root.resolve("etc/mdevctl.d"));
    Files.createDirectories(root.resolve("usr/lib/mdevctl/scripts.d/callouts"));
    Files.createDirectories(root.resolve("usr/lib/mdevctl/scripts.d/notifiers"));
  }

  private static Answer run(Path root, String... command) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("MDEVCTL_ENV_ROOT", root.toString());
    Path err = Files.createTempFile("mdevctl", ".err");
    Process process = builder.redirectError(err.toFile()).start();
    try {
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
      return new Answer(process.exitValue(), out, Files.readString(err));
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    } finally {
      process.destroyForcibly();
      Files.delete(err);
    }
  }

  private Answer mdevctl(String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(arguments));
    command.addFirst(mdevctl);
    return run(root, command.toArray(String[]::new));
  }

  private String output(String... arguments) throws IOException {
    Answer answer = mdevctl(arguments);
    assertThat(answer.status()).as(answer.err()).isZero();
    return answer.out();
  }

  private Path file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text);
  }

  /** A machine with one GPU of two types, and what mdevctl wants to find of its own. */
  @BeforeEach
  void build() throws IOException {
    folders(root);
    Path real = Files.createDirectories(root.resolve("sys/devices/pci0000:00/" + GPU));
    Files.writeString(real.resolve("class"), "0x030000\n");
    for (String type : List.of("small", "big")) {
      String folder = "sys/devices/pci0000:00/" + GPU + "/mdev_supported_types/" + type;
      file(folder + "/available_instances", type.equals("small") ? "1\n" : "4\n");
      file(folder + "/device_api", "vfio-pci\n");
      file(folder + "/name", "ACME " + type + "\n");
      file(folder + "/description", "one line\n");
      file(folder + "/create", "");
    }
    for (String link : List.of("sys/class/mdev_bus/", "sys/bus/pci/devices/")) {
      Path at = root.resolve(link + GPU);
      Files.createDirectories(at.getParent());
      Files.createSymbolicLink(at, real);
    }
    Files.createDirectories(root.resolve("sys/bus/mdev/devices"));
  }

  private void active(String uuid, String type) throws IOException {
    String device = "sys/devices/pci0000:00/" + GPU + "/" + uuid;
    file(device + "/remove", "");
    Files.createSymbolicLink(
        root.resolve(device + "/mdev_type"), Path.of("../mdev_supported_types/" + type));
    Files.createSymbolicLink(root.resolve("sys/bus/mdev/devices/" + uuid), root.resolve(device));
  }

  private void define(MdevDefinition definition) throws IOException {
    file(definition.file().toString(), definition.json());
  }

  private HostTopology host() {
    return HostSource.read(root).getFirst();
  }

  private static HostTopology parse(String text) {
    return HostSource.parse("t.txt", "t", text.getBytes(StandardCharsets.UTF_8)).getFirst();
  }

  private static MdevDefinition definition(
      UUID uuid, String parent, String type, Start start, Attribute... attributes) {
    return new MdevDefinition(uuid, parent, type, start, List.of(attributes));
  }

  @Test
  void shouldHaveMdevctlListWhatWeWrite() throws IOException {
    List<MdevDefinition> ours =
        List.of(
            definition(UUID_ONE, GPU, "small", Start.AUTO),
            MdevDefinition.wrapped(UUID_TWO, PciAddress.parse(GPU)),
            definition(
                UUID_ONE,
                "matrix",
                "ap",
                Start.MANUAL,
                new Attribute("assign_adapter", "5"),
                new Attribute("assign_adapter", "0x6\"\\ü\n")));
    for (MdevDefinition definition : ours) {
      define(definition);
    }
    assertThat(host().mdevDefinitions()).containsExactlyElementsOf(ours);
    assertThat(output("list", "-d").lines())
        .containsExactly(
            ONE + " " + GPU + " small auto",
            TWO + " " + GPU + " vfio4j-wrapped manual",
            ONE + " matrix ap manual");
    // The file itself is what mdevctl would have written.
    for (MdevDefinition definition : ours) {
      assertThat(
              output(
                      "list",
                      "-d",
                      "-p",
                      definition.parent(),
                      "-u",
                      definition.uuid().toString(),
                      "--dumpjson")
                  .strip())
          .isEqualTo(definition.json().strip());
    }
    assertThat(
            parse("# mdevctl list -d --dumpjson\n" + output("list", "-d", "--dumpjson") + "\n")
                .mdevDefinitions())
        .isEqualTo(ours);
  }

  @Test
  void shouldListWhatMdevctlWrites() throws IOException {
    output("define", "-u", ONE, "-p", GPU, "-t", "small", "--auto");
    output("define", "-u", TWO, "-p", "matrix", "-t", "ap");
    output("modify", "-u", TWO, "-p", "matrix", "--addattr=b", "--value=1");
    output("modify", "-u", TWO, "-p", "matrix", "--addattr=a", "--value=ü \"q\"");
    List<MdevDefinition> expected =
        List.of(
            definition(UUID_ONE, GPU, "small", Start.AUTO),
            definition(
                UUID_TWO,
                "matrix",
                "ap",
                Start.MANUAL,
                new Attribute("b", "1"),
                new Attribute("a", "ü \"q\"")));
    HostTopology host = host();
    assertThat(host.mdevDefinitions()).isEqualTo(expected);
    assertThat(host.losses()).isEmpty();
    for (MdevDefinition definition : expected) {
      assertThat(root.resolve(definition.file())).hasContent(definition.json());
    }
    assertThat(parse("# mdevctl list -d\n" + output("list", "-d")).mdevDefinitions()).hasSize(2);
  }

  @Test
  void shouldReadWhatMdevctlPrintsOfDevicesAndTypes() throws IOException {
    define(definition(UUID_ONE, GPU, "small", Start.AUTO));
    active(ONE, "small");
    active(TWO, "big");
    HostTopology host = host();
    assertThat(host.mdevs()).hasSize(2);
    assertThat(host.mdevDefinitions().getFirst().isActive(host)).isTrue();
    for (String text :
        List.of(
            output("list"),
            "# mdevctl list\n" + output("list"),
            "# mdevctl list --dumpjson\n" + output("list", "--dumpjson") + "\n")) {
      HostTopology read = parse(text);
      assertThat(read.mdevs())
          .extracting(m -> m.uuid() + " " + m.parent() + " " + m.type().orElse(""))
          .containsExactly(ONE + " " + GPU + " small", TWO + " " + GPU + " big");
      assertThat(read.mdevDefinitions()).isEqualTo(host.mdevDefinitions());
      assertThat(read.losses()).isEmpty();
    }
    assertThat(parse(output("types")).mdevParents()).isEqualTo(host.mdevParents());
    assertThat(parse(output("types", "--dumpjson") + "\n").mdevParents())
        .isEqualTo(host.mdevParents());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"mdev_type\":\"small\",\"start\":\"auto\"}",
        "{\"mdev_type\":\"small\",\"start\":\"Auto\",\"attrs\":null,\"more\":[1]}",
        "{\"mdev_type\":\"small\",\"start\":7}",
        "{\"mdev_type\":\"small\",\"start\":null}",
        "{\"mdev_type\":\"small\"}",
        "{\"start\":\"auto\"}",
        "{\"mdev_type\":7,\"start\":\"auto\"}",
        "{\"mdev_type\":\"small\",\"start\":\"auto\",\"attrs\":{\"a\":\"1\"}}",
        "{\"mdev_type\":\"small\",\"start\":\"auto\",\"attrs\":[{\"a\":1}]}",
        "{\"mdev_type\":\"small\",\"start\":\"auto\",\"attrs\":[{}]}",
        "{\"mdev_type\":\"small\",\"start\":\"auto\",\"attrs\":[\"a\"]}",
        "{\"mdev_type\":\"small\",",
        "[]",
        ""
      })
  void shouldTakeAndTellTheSameFiles(String json) throws IOException {
    file("etc/mdevctl.d/" + GPU + "/" + ONE, json);
    Answer answer = mdevctl("list", "-d");
    HostTopology host = host();
    assertThat(host.mdevDefinitions()).hasSize(answer.status() == 0 ? 1 : 0);
    assertThat(host.losses()).hasSize(answer.status() == 0 ? 0 : 1);
    if (answer.status() == 0) {
      assertThat(answer.out()).endsWith(host.mdevDefinitions().getFirst().start().word() + "\n");
    }
  }

  @Test
  void shouldPrintStepsAndFixesThatMdevctlTakes() throws IOException {
    define(definition(UUID_ONE, GPU, "small", Start.MANUAL));
    define(definition(UUID_TWO, GPU, "small", Start.AUTO));
    HostTopology host = host();
    Request request = Request.of(VmRequest.of("web", DeviceRequest.mdev(UUID_ONE)));
    List<Fix> fixes = only(request, host).refusal().orElseThrow().fixes();
    assertThat(fixes).hasSize(2);
    for (Fix fix : fixes) {
      output(command(fix.sentence()));
      HostTopology fixed = fix.apply(request, host).host();
      assertThat(host().mdevDefinitions()).isEqualTo(fixed.mdevDefinitions());
      DeviceVerdict admitted = only(request, host());
      assertThat(admitted.refused()).isFalse();
      Step start = admitted.steps().getFirst();
      String type = fixed.mdevDefinitions(UUID_ONE).getFirst().type();
      assertThat(create(type)).isEmptyFile();
      output(command(start.sentence()));
      assertThat(create(type)).hasContent(ONE);
      Files.writeString(create(type), "");
      define(definition(UUID_ONE, GPU, "small", Start.MANUAL));
      define(definition(UUID_TWO, GPU, "small", Start.AUTO));
    }
  }

  private Path create(String type) {
    return root.resolve("sys/class/mdev_bus/" + GPU + "/mdev_supported_types/" + type + "/create");
  }

  private static DeviceVerdict only(Request request, HostTopology host) {
    return Check.verdict(request, host, Options.DEFAULT).devices().findFirst().orElseThrow();
  }

  /** The arguments of the command that a sentence ends with. */
  private static String[] command(String sentence) {
    String[] parts = sentence.split(": mdevctl ", -1);
    assertThat(parts).hasSize(2);
    return parts[1].split(" ", -1);
  }

  @Test
  void shouldStartADeviceAsMdevctlDoes() throws IOException {
    define(definition(UUID_ONE, GPU, "big", Start.MANUAL));
    output("start", "-u", ONE);
    byte[] theirs = Files.readAllBytes(create("big"));
    Files.writeString(create("big"), "");
    KernelMdevs.in(root.resolve("sys"))
        .start(new KernelMdevs.Wanted(GPU, "big", UUID_ONE, List.of()));
    assertThat(create("big")).hasBinaryContent(theirs);
    active(ONE, "big");
    output("stop", "-u", ONE);
    Path remove = root.resolve("sys/bus/mdev/devices/" + ONE + "/remove");
    byte[] stopped = Files.readAllBytes(remove);
    Files.writeString(remove, "");
    KernelMdevs.in(root.resolve("sys")).stop(UUID_ONE);
    assertThat(remove).hasBinaryContent(stopped);
  }

  @Test
  void shouldSayWhatABrokenFileKeepsMdevctlFrom() throws IOException {
    define(definition(UUID_ONE, GPU, "small", Start.AUTO));
    file("etc/mdevctl.d/" + GPU + "/" + TWO, "{");
    assertThat(mdevctl("start-parent-mdevs", GPU).status()).isNotZero();
    assertThat(mdevctl("list", "-d").status()).isNotZero();
    assertThat(create("small")).isEmptyFile();
    assertThat(Ran.on(300, false, "host", root).lines())
        .contains(
            "  etc/mdevctl.d/%s/%s cannot be read: while it is there mdevctl lists nothing, and starts nothing on %s by itself"
                .formatted(GPU, TWO, GPU));
  }

  private List<String> host(String uuid) {
    return Ran.on(300, false, "host", root).lines().stream()
        .filter(l -> l.startsWith("  " + uuid))
        .toList();
  }

  private Ran vfio(String... words) {
    Ran ran = Ran.vfio(Stream.concat(Stream.of(words), Stream.of("--root", root)).toArray());
    assertThat(ran.status()).as(ran.err()).isZero();
    return ran;
  }

  @Test
  void shouldListTheWrappedFunctionsThatEitherDefines() throws IOException {
    file("sys/bus/pci/devices/" + NIC + "/class", "0x020000\n");
    file("sys/bus/pci/devices/" + NIC2 + "/class", "0x020000\n");
    vfio("define", NIC, "--uuid", ONE);
    output("define", "-u", TWO, "-p", NIC2, "-t", "vfio4j-wrapped");
    assertThat(output("list", "-d").lines())
        .containsExactly(
            ONE + " " + NIC + " vfio4j-wrapped manual",
            TWO + " " + NIC2 + " vfio4j-wrapped manual");
    assertThat(host(ONE))
        .containsExactly("  " + ONE + " wrapped " + NIC + ": defined for 'vfio up'");
    assertThat(host(TWO))
        .containsExactly("  " + TWO + " wrapped " + NIC2 + ": defined for 'vfio up'");
    // What either has written the other finds so already.
    Path ours = root.resolve("etc/mdevctl.d/" + NIC + "/" + ONE);
    Path theirs = root.resolve("etc/mdevctl.d/" + NIC2 + "/" + TWO);
    assertThat(Files.readString(ours).strip()).isEqualTo(Files.readString(theirs).strip());
    assertThat(Files.getPosixFilePermissions(ours))
        .isEqualTo(Files.getPosixFilePermissions(theirs));
    assertThat(vfio("define", NIC2).out()).contains(TWO, "as it was");
    assertThat(mdevctl("define", "-u", ONE, "-p", NIC, "-t", "vfio4j-wrapped").err())
        .contains("already defined");
    // Each removes the other's.
    vfio("undefine", TWO);
    assertThat(output("list", "-d").lines()).hasSize(1);
    output("undefine", "-u", ONE);
    assertThat(host().mdevDefinitions()).isEmpty();
    assertThat(output("list", "-d")).isEmpty();
  }

  @Test
  void shouldBeAbleToMendAWrappedFunctionThatIsToStartAtBoot() throws IOException {
    file("sys/bus/pci/devices/" + NIC + "/class", "0x020000\n");
    for (String parent : List.of(NIC, GPU)) {
      output("define", "-u", TWO, "-p", parent, "-t", "vfio4j-wrapped", "--auto");
      assertThat(Ran.vfio("define", parent, "--root", root).err()).contains("--manual");
      output(command(host(TWO).getFirst()));
      assertThat(host(TWO))
          .containsExactly("  " + TWO + " wrapped " + parent + ": defined for 'vfio up'");
      vfio("undefine", parent);
    }
  }

  /** Tells itself, and starts what else there is. */
  @Test
  void shouldHaveMdevctlGoOnWhereAWrappedFunctionIsToStartAtBoot() throws IOException {
    define(definition(UUID_ONE, GPU, "small", Start.AUTO));
    define(definition(UUID_TWO, GPU, "vfio4j-wrapped", Start.AUTO));
    Answer answer = mdevctl("start-parent-mdevs", GPU);
    assertThat(answer.err()).contains("does not support mdev type vfio4j-wrapped");
    assertThat(create("small")).hasContent(ONE);
  }

  /** mdevctl starts at boot what is auto: of a definition of ours it must keep away. */
  @Test
  void shouldNotHaveMdevctlStartWrappedFunctionsAtBoot() throws IOException {
    define(definition(UUID_ONE, GPU, "small", Start.AUTO));
    define(MdevDefinition.wrapped(UUID_TWO, PciAddress.parse(GPU)));
    Answer answer = mdevctl("start-parent-mdevs", GPU);
    assertThat(answer.status()).isZero();
    assertThat(answer.err()).doesNotContain(TWO);
    assertThat(create("small")).hasContent(ONE);
  }
}
