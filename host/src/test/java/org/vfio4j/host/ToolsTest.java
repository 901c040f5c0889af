// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.vfio4j.host.ToolsTest.Told.ACS;
import static org.vfio4j.host.ToolsTest.Told.BOUND;
import static org.vfio4j.host.ToolsTest.Told.BUSES;
import static org.vfio4j.host.ToolsTest.Told.CLASS;
import static org.vfio4j.host.ToolsTest.Told.DRIVER;
import static org.vfio4j.host.ToolsTest.Told.EXPRESS;
import static org.vfio4j.host.ToolsTest.Told.GROUP;
import static org.vfio4j.host.ToolsTest.Told.HEADER;
import static org.vfio4j.host.ToolsTest.Told.ID;
import static org.vfio4j.host.ToolsTest.Told.NUMA;
import static org.vfio4j.host.ToolsTest.Told.PARENT;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The tools themselves are the judges: each shipped host becomes files of {@code /sys}, a tool
 * prints them, and what it prints reads back as the same host, as far as it tells of it. A tool
 * that is not installed judges nothing: pciutils, driverctl, lshw (as root), libvirt-clients.
 */
class ToolsTest {

  /** What a form can tell of a function. */
  enum Told {
    ID(f -> f.id()),
    CLASS(f -> f.classCode().map(PciClass::code16)),
    DRIVER(f -> fact(f.driver())),
    BOUND(f -> f.driver().value()),
    GROUP(f -> f.group().value()),
    NUMA(f -> f.numaNode().value()),
    ACS(f -> f.acs().value()),
    EXPRESS(f -> f.pcieType().filter(t -> t != PcieType.CONVENTIONAL)),
    HEADER(PciFunction::isBridge),
    BUSES(f -> f.buses().map(BusRange::secondary)),
    PARENT(f -> f.parent().value());

    private final Function<PciFunction, Optional<?>> value;

    Told(Function<PciFunction, Optional<?>> value) {
      this.value = value;
    }

    private static <T> Optional<Fact<T>> fact(Fact<T> fact) {
      return fact.isUnknown() ? Optional.empty() : Optional.of(fact);
    }
  }

  /** Options of lspci, and what it tells with them. */
  private record Form(String options, Set<Told> told) {}

  private static final List<Form> LSPCI =
      List.of(
          new Form("", Set.of(CLASS)),
          new Form("-D", Set.of(CLASS)),
          new Form("-k", Set.of(CLASS, DRIVER)),
          new Form("-n", Set.of(CLASS, ID)),
          new Form("-nn", Set.of(CLASS, ID)),
          new Form("-nnk", Set.of(CLASS, ID, DRIVER)),
          new Form("-Dnnk", Set.of(CLASS, ID, DRIVER)),
          new Form("-v", Set.of(CLASS, DRIVER, GROUP, NUMA, HEADER, BUSES)),
          new Form("-vv", Set.of(CLASS, DRIVER, GROUP, NUMA, EXPRESS, ACS, HEADER, BUSES)),
          new Form("-vvv", Set.of(CLASS, DRIVER, GROUP, NUMA, EXPRESS, ACS, HEADER, BUSES)),
          new Form("-nnv", Set.of(CLASS, ID, DRIVER, GROUP, NUMA, HEADER, BUSES)),
          new Form("-nnvv", Set.of(CLASS, ID, DRIVER, GROUP, NUMA, EXPRESS, ACS, HEADER, BUSES)),
          new Form("-Dnnvvvk", Set.of(CLASS, ID, DRIVER, GROUP, NUMA, EXPRESS, ACS, HEADER, BUSES)),
          new Form("-m", Set.of(CLASS)),
          new Form("-mm", Set.of(CLASS)),
          new Form("-mmn", Set.of(CLASS, ID)),
          new Form("-mmnn", Set.of(CLASS, ID)),
          new Form("-Dmmnn", Set.of(CLASS, ID)),
          new Form("-vmm", Set.of(CLASS, NUMA, GROUP)),
          new Form("-vmmn", Set.of(CLASS, ID, NUMA, GROUP)),
          new Form("-vmmnn", Set.of(CLASS, ID, NUMA, GROUP)),
          new Form("-Dvmmnnk", Set.of(CLASS, ID, DRIVER, NUMA, GROUP)),
          new Form("-t", Set.of(PARENT)),
          new Form("-tv", Set.of(PARENT)),
          new Form("-tvnn", Set.of(PARENT, ID)),
          new Form("-x", Set.of(CLASS)),
          new Form("-nnxxx", Set.of(CLASS, ID)),
          new Form("-nnxxxx", Set.of(CLASS, ID)),
          new Form("-PP", Set.of(CLASS, PARENT)),
          new Form("-PPnnk", Set.of(CLASS, ID, DRIVER, PARENT)));

  private static final List<Form> LSHW =
      List.of(
          new Form("", Set.of(BOUND)),
          new Form("-numeric", Set.of(BOUND, ID)),
          new Form("-json", Set.of(BOUND)),
          new Form("-json -numeric", Set.of(BOUND, ID)),
          new Form("-businfo", Set.of()),
          new Form("-businfo -numeric", Set.of(ID)));

  private static final Pattern LIBRARY = Pattern.compile("(/\\S+\\.so\\S*)");

  @TempDir Path folder;

  /** Those in which there is something of everything; all with {@code -Dvfio4j.tools=all}. */
  private static final Pattern HOSTS =
      Pattern.compile(
          System.getProperty("vfio4j.tools", "").equals("all")
              ? ".*"
              : "(?:arm64-d05-1|pex8748|pn51|qemu-q35|ryzen-x370)[.]json");

  static Stream<Path> hosts() throws IOException {
    return FixturesTest.fixtures().filter(f -> HOSTS.matcher(f.getFileName().toString()).matches());
  }

  private String run(List<String> command) throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectError(folder.resolve("complaints").toFile()).environment().put("LC_ALL", "C");
    Process process = builder.start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    assertThat(out).as(Files.readString(folder.resolve("complaints"))).isNotBlank();
    return out;
  }

  private HostTopology written(Path file) throws IOException {
    HostTopology host = HostSource.read(file).getFirst();
    HostTree.write(host, folder);
    return host;
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldReadWhatLspciPrints(Path file) throws Exception {
    assumeThat(Path.of("/usr/bin/lspci")).exists();
    HostTopology host = written(file);
    for (Form form : LSPCI) {
      List<String> command = new ArrayList<>(List.of("lspci"));
      command.addAll(List.of("-O", "sysfs.path=" + folder.resolve("sys/bus/pci")));
      if (!form.options().isEmpty()) {
        command.add(form.options());
      }
      agrees("lspci " + form.options(), run(command), host, form.told());
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldReadWhatDriverctlPrints(Path file) throws Exception {
    Path installed = Path.of("/usr/sbin/driverctl");
    assumeThat(installed).exists();
    HostTopology host = written(file);
    // It is a script: the same, of another /sys, and with a name for each device.
    String script = Files.readString(installed).replace("\"/sys/", "\"" + folder + "/sys/");
    String names = "udevadm() { echo ID_MODEL_FROM_DATABASE=Controller 9; }\n";
    Path tool = Files.writeString(folder.resolve("driverctl"), names + script);
    agrees(
        "driverctl list-devices",
        run(List.of("bash", tool.toString(), "list-devices")),
        host,
        Set.of(DRIVER));
    agrees(
        "driverctl -v list-devices",
        run(List.of("bash", tool.toString(), "-v", "list-devices")),
        host,
        Set.of(DRIVER));
  }

  /** It reads {@code /sys} wherever it is: in a folder that is its root. */
  @ParameterizedTest
  @MethodSource("hosts")
  void shouldReadWhatLshwPrints(Path file) throws Exception {
    Path installed = Path.of("/usr/bin/lshw");
    assumeThat(installed).exists();
    assumeThat(System.getProperty("user.name")).isEqualTo("root");
    HostTopology host = written(file);
    copy(installed);
    Matcher library = LIBRARY.matcher(run(List.of("ldd", installed.toString())));
    while (library.find()) {
      copy(Path.of(library.group(1)));
    }
    Files.copy(
        Path.of("/usr/share/misc/pci.ids"),
        Files.createDirectories(folder.resolve("usr/share/hwdata")).resolve("pci.ids"));
    for (Form form : LSHW) {
      List<String> command =
          new ArrayList<>(List.of("chroot", folder.toString(), installed.toString(), "-quiet"));
      Stream.of(form.options().split(" ")).filter(o -> !o.isEmpty()).forEach(command::add);
      agrees("lshw " + form.options(), run(command), host, form.told());
    }
  }

  private void copy(Path file) throws IOException {
    Path copy = folder.resolve(file.toString().substring(1));
    Files.createDirectories(copy.resolveSibling(""));
    Files.copy(file, copy);
  }

  /** libvirt's test driver takes devices from a file and prints them, but for their drivers. */
  @ParameterizedTest
  @MethodSource("hosts")
  void shouldReadWhatVirshPrints(Path file) throws Exception {
    assumeThat(Path.of("/usr/bin/virsh")).exists();
    HostTopology host = HostSource.read(file).getFirst();
    StringBuilder node = new StringBuilder("<node>");
    StringBuilder commands = new StringBuilder();
    for (PciFunction function : host.functions()) {
      node.append(NodeDevice.of(function, host));
      commands.append("nodedev-dumpxml ").append(NodeDevice.name(function.address())).append('\n');
    }
    Files.writeString(folder.resolve("node.xml"), node.append("</node>"));
    Path script = Files.writeString(folder.resolve("commands"), commands);
    String devices =
        run(
            List.of(
                "sh", "-c", "virsh -q -c test://" + folder.resolve("node.xml") + " <" + script));
    List<PciFunction> undriven =
        host.functions().stream().map(f -> f.toBuilder().driver(Fact.unknown()).build()).toList();
    HostTopology told = host.with(undriven, host.groups());
    agrees("virsh nodedev-dumpxml", devices, told, Set.of(ID, CLASS, GROUP));
  }

  /** Whether what was read agrees with the host, and has all that the form tells. */
  private static void agrees(String form, String text, HostTopology host, Set<Told> told) {
    List<HostTopology> hosts = HostSource.parse(form, form, text.getBytes(StandardCharsets.UTF_8));
    assertThat(hosts).as(form).hasSize(1);
    HostTopology read = hosts.getFirst();
    assertThat(read.losses()).as("%s: lost", form).isEmpty();
    assertThat(read.functions().stream().map(PciFunction::address))
        .as(form)
        .containsExactlyElementsOf(host.functions().stream().map(PciFunction::address).toList());
    List<String> wrong = new ArrayList<>();
    for (PciFunction function : host.functions()) {
      PciFunction again = read.function(function.address()).orElseThrow();
      for (Told what : Told.values()) {
        Optional<?> was = what.value.apply(function);
        Optional<?> is = what.value.apply(again);
        boolean agrees = is.isEmpty() ? !told.contains(what) : is.equals(was);
        // lspci cuts very long names, and the numbers behind them.
        boolean cut =
            what == ID && is.isEmpty() && !text.contains(was.map(Object::toString).orElse(""));
        // Only what has the class or the header of a bridge is shown with buses.
        boolean odd = what == BUSES && !function.isBridge().orElse(false);
        if (was.isPresent() && !agrees && !cut && !odd) {
          wrong.add("%s %s: %s, read %s".formatted(function.address(), what, was, is));
        }
      }
    }
    assertThat(wrong.stream().limit(20).collect(Collectors.joining("\n"))).as(form).isEmpty();
  }
}
