// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What bash offers at the tabulator key, asked of bash itself where there is one. */
class CompletionTest {
  private static final Path BASH = Path.of("/bin/bash");

  /** Words as bash breaks them: at spaces, and at each of its COMP_WORDBREAKS. */
  private static final Pattern WORD = Pattern.compile("[:=]|[^\\s:=]+");

  @TempDir Path folder;

  @BeforeEach
  void makeFilesAndDevices() throws IOException {
    assumeThat(BASH).exists();
    Files.writeString(folder.resolve("vfio.bash"), Ran.vfio("completion").out());
    Files.createDirectories(folder.resolve("examples/hosts"));
    Files.writeString(folder.resolve("here and there.json"), "{}");
    Files.writeString(folder.resolve("vms.yaml"), "");
    for (String address : List.of("0000:01:00.0", "0000:01:00.1", "0001:02:00.0")) {
      Files.createDirectories(folder.resolve("sys/bus/pci/devices/" + address));
    }
  }

  /** What may stand instead of the last word of the line, which may be empty. */
  private List<String> offered(String line) throws IOException, InterruptedException {
    List<String> words =
        new ArrayList<>(WORD.matcher(line).results().map(MatchResult::group).toList());
    if (line.endsWith(" ")) {
      words.add("");
    }
    String script =
        """
        . ./vfio.bash
        COMP_WORDS=(%s)
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_LINE='%s'
        COMP_POINT=${#COMP_LINE}
        _complete_vfio vfio
        printf '%%s\\n' "${COMPREPLY[@]}"
        """
            .formatted(
                words.stream().map(w -> "'" + w + "'").collect(Collectors.joining(" ")), line);
    ProcessBuilder bash = new ProcessBuilder(BASH.toString(), "--norc", "-c", script);
    bash.directory(folder.toFile()).redirectErrorStream(true);
    bash.environment().put("VFIO_SYSFS", folder.resolve("sys").toString());
    Process process = bash.start();
    process.getOutputStream().close();
    String printed =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertThat(process.waitFor()).as(printed).isZero();
    return printed.isEmpty() ? List.of() : printed.lines().toList();
  }

  @Test
  void shouldOfferFilesWhereAFileIsExpected() throws Exception {
    for (String before :
        List.of(
            "vfio host",
            "vfio capture",
            "vfio capture -o",
            "vfio check",
            "vfio check vms.yaml --host",
            "vfio host a.json --svg",
            "vfio replay",
            "vfio replay a.vt --host",
            "vfio explain --file",
            "vfio explain --host",
            "vfio serve ioat --socket",
            "vfio --json host",
            "vfio host --json")) {
      assertThat(offered(before + " exa")).as(before).containsExactly("examples");
    }
    assertThat(offered("vfio host examples/ho")).containsExactly("examples/hosts");
    assertThat(offered("vfio host --svg=exa")).containsExactly("examples");
    assertThat(offered("vfio host here")).containsExactly("here and there.json");
  }

  @Test
  void shouldOfferWordsAsTheyAreAccepted() throws Exception {
    assertThat(offered("vfio serve io")).containsExactly("ioat");
    assertThat(offered("vfio serve ")).containsExactly("ioat", "edu");
    assertThat(offered("vfio replay a.vt --on ")).containsExactly("soft", "kernel");
    assertThat(offered("vfio check a --as ")).containsExactly("qemu", "libvirt", "proxmox");
    assertThat(offered("vfio check a --kernel 6")).containsExactly("6.1", "6.12");
    assertThat(offered("vfio check a --kernel=5")).containsExactly("5.3", "5.10");
    assertThat(offered("vfio check a --host li")).containsExactly("linux");
    assertThat(offered("vfio explain BACKING")).containsExactly("BACKING_GROUP_HELD");
    assertThat(offered("vfio serve ioat --group roo")).contains("root");
  }

  @Test
  void shouldOfferCommandsAndOptions() throws Exception {
    assertThat(offered("vfio ca")).containsExactly("capture");
    assertThat(offered("vfio ")).contains("host", "check", "bind", "help");
    assertThat(offered("vfio help ch")).containsExactly("check");
    assertThat(offered("vfio check --st")).containsExactly("--strict");
    assertThat(offered("vfio --ver")).containsExactly("--verbose", "--version");
  }

  /** Bash takes the colons for breaks between words: what it replaces begins after the last. */
  @Test
  void shouldOfferTheAddressesOfThisMachine() throws Exception {
    assertThat(offered("vfio bind ")).contains("0000:01:00.0", "0000:01:00.1", "0001:02:00.0");
    assertThat(offered("vfio bind 0000:01:")).containsExactly("00.0", "00.1");
    assertThat(offered("vfio bind 0000:01:00.1 0001")).containsExactly("0001:02:00.0");
    assertThat(offered("vfio release 0000:01:00.0 0000:01:00.")).containsExactly("00.0", "00.1");
    assertThat(offered("vfio bind 0000:01:00.0 --force 0001:")).containsExactly("02:00.0");
  }

  /** Every word that the script offers is one that the command takes. */
  @Test
  void shouldOfferNothingThatIsRefused() throws Exception {
    for (String model : offered("vfio serve ")) {
      assertThat(Ran.vfio("serve", model, "--socket", "/nosuch/x").err())
          .contains("no such folder");
    }
    for (String command : offered("vfio ")) {
      assertThat(Ran.vfio(command, "--help").status()).as(command).isZero();
    }
  }
}
