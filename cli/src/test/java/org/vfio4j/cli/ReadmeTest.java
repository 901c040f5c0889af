// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What README shows is what comes: its commands are run, its programs are compiled and run. */
class ReadmeTest {
  private static final Path README = Ran.ROOT.resolve("README.md");

  /** Each part between fences, without the language. */
  private static final Pattern BLOCK = Pattern.compile("(?ms)^```(\\w*)\\n(.*?)^```$");

  private static final Pattern WORD = Pattern.compile("'([^']*)'|(\\S+)");

  /** Commands that are not run here, by how they begin, and why. */
  private static final Map<String, String> NOT_HERE =
      Map.ofEntries(
          Map.entry("host", "this machine's devices are other ones each time: HostCommandTest"),
          Map.entry("host kvm7.txt", "the text is made by the reader's own ssh"),
          Map.entry("capture -o here.json", "this machine"),
          Map.entry("bind 0000:01:00.0 0000:01:00.1", "takes devices: kernel-bench, suite devices"),
          Map.entry("release 0000:01:00.0 0000:01:00.1", "gives them back"),
          Map.entry("define 0000:03:00.0", "a function of the machine: DefineCommandTest"),
          Map.entry("undefine 0000:03:00.0", "undoes it"),
          Map.entry("explain --host live", "this machine"),
          Map.entry("check win10.xml --host here.json", "the reader's own files: RequestTextTest"),
          Map.entry("check /etc/pve/qemu-server/*.conf --host linux", "a Proxmox host"),
          Map.entry("check vms.yaml --as libvirt", "the reader's own file"),
          Map.entry(
              "serve ioat --socket /tmp/ioat.sock", "ends when it is told to: ServeCommandTest"),
          Map.entry("keep -- ./vfio daemon --group kvm", "goes on: DaemonCommandTest"),
          Map.entry("up -d vms.yaml --bind", "needs a daemon: kernel-bench, suite daemon"),
          Map.entry("ps", "needs a daemon: DaemonCommandTest"),
          Map.entry("events", "needs a daemon: DaemonCommandTest"),
          Map.entry("down web", "needs a daemon: DaemonCommandTest"),
          Map.entry(
              "detach db 0000:01:00.1 && ./vfio attach web 0000:01:00.1",
              "needs a daemon: HotPlugQemuTest"),
          Map.entry("up vms.yaml --bind", "takes devices: kernel-bench, suite up"),
          Map.entry(
              "keep -- ./vfio up vms.yaml --bind", "takes devices: kernel-bench, suite keep"));

  @TempDir Path folder;

  private static List<String> blocks(String language) throws IOException {
    return BLOCK
        .matcher(Files.readString(README))
        .results()
        .filter((MatchResult m) -> m.group(1).equals(language))
        .map(m -> m.group(2))
        .toList();
  }

  /** Paths are the repository's. */
  private static Ran run(String command) {
    Object[] words =
        WORD.matcher(command)
            .results()
            .map(m -> m.group(1) == null ? m.group(2) : m.group(1))
            .map(w -> w.startsWith("examples/") ? Ran.ROOT.resolve(w).toString() : w)
            .toArray();
    return Ran.vfio(words);
  }

  @Test
  void shouldPrintWhatReadmeShows() throws IOException {
    int compared = 0;
    for (String block : blocks("")) {
      for (String shown : block.split("(?m)^\\$ ")) {
        String command = shown.lines().findFirst().orElse("");
        String output = shown.substring(Math.min(shown.length(), command.length() + 1)).strip();
        if (output.isEmpty() || !block.startsWith("$ ")) {
          continue;
        }
        compared++;
        if (command.startsWith("cat ")) {
          assertThat(Ran.ROOT.resolve(command.substring("cat ".length())))
              .content()
              .isEqualToIgnoringNewLines(output);
        } else {
          Ran ran = run(command.replaceFirst("^\\./vfio ", ""));
          assertThat(ran.out().strip()).as(command).isEqualTo(output);
          assertThat(ran.err()).as(command).isEmpty();
        }
      }
    }
    assertThat(compared).isGreaterThanOrEqualTo(4);
  }

  /** The tour, with the line that README says is changed. */
  @Test
  void shouldRefuseTheChangedTourAsReadmeShows() throws IOException {
    String tour = Files.readString(Ran.ROOT.resolve("examples/tour.yaml"));
    assertThat(tour).contains("- 0000:04:00.0 ");
    Path changed =
        Files.writeString(
            folder.resolve("tour.yaml"),
            tour.replace("- 0000:04:00.0 ", "- 0000:7f:14.2 ")
                .replace(
                    "hosts/vgpu-server.json", Ran.host("vgpu-server").toAbsolutePath().toString()));
    Ran ran = Ran.vfio("check", changed);
    assertThat(ran.status()).isEqualTo(Main.REFUSED);
    String block = blocks("").stream().filter(b -> b.contains("\n…\n")).findFirst().orElseThrow();
    for (String part : block.split("(?m)^…$")) {
      assertThat(ran.out()).contains(part.strip());
    }
  }

  @Test
  void shouldTakeEveryCommandThatReadmeNames() throws IOException {
    Set<String> notRun = new HashSet<>();
    List<String> run = new ArrayList<>();
    for (String block : blocks("")) {
      for (String line : block.lines().toList()) {
        int at = line.indexOf("./vfio ");
        if (at < 0) {
          continue;
        }
        String command =
            line.substring(at + "./vfio ".length()).replaceFirst("\\s+#.*", "").strip();
        if (NOT_HERE.containsKey(command)) {
          notRun.add(command);
          continue;
        }
        run.add(command);
        String elsewhere = command.replace("--svg a.svg", "--svg " + folder.resolve("a.svg"));
        Ran ran = run(elsewhere);
        assertThat(ran.status()).as("%s: %s", command, ran.err()).isBetween(0, 1);
      }
    }
    assertThat(run).hasSizeGreaterThan(5);
    assertThat(notRun).isEqualTo(NOT_HERE.keySet());
  }

  /** The programs that stand in README to the letter ({@code PublishedTest}), as it says. */
  @ParameterizedTest
  @CsvSource({
    "CheckAssignment, ../examples/hosts/vgpu-server.json, 'leave 0000:7f:14.2 out of web'",
    "EmbedEngine, '', EBUSY",
    "ServeDevice, SOCKET, 8086:2021",
    "DriveDevice, 0000:ff:1f.7, 'cannot: '",
  })
  void shouldRunTheProgramsOfReadme(String program, String argument, String printed)
      throws IOException, InterruptedException {
    Path sources = Ran.ROOT.resolve("consumer/src/main/java/consumer");
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
        Stream<Path> programs = Files.list(sources)) {
      boolean compiled =
          compiler
              .getTask(
                  null,
                  files,
                  null,
                  List.of("-proc:none", "-d", folder.toString()),
                  null,
                  files.getJavaFileObjectsFromPaths(programs.toList()))
              .call();
      assertThat(compiled).isTrue();
    }
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                folder + ":" + System.getProperty("java.class.path"),
                "consumer." + program,
                argument.equals("SOCKET") ? folder.resolve("socket").toString() : argument)
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(output).contains(printed).doesNotContain("Exception");
    assertThat(process.waitFor()).as(output).isZero();
  }
}
