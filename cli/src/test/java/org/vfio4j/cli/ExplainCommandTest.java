// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.cli.explain.Code;
import org.vfio4j.cli.explain.Codes;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import picocli.CommandLine;

class ExplainCommandTest {

  private static final String NOT_VIABLE = "vfio 0000:01:00.0: group 1 is not viable";

  @TempDir private Path folder = Path.of("");

  /** Runs the command with a text on its standard input. */
  private static Ran piped(byte[] input, String... arguments) {
    return piped(new ByteArrayInputStream(input), arguments);
  }

  private static Ran piped(InputStream input, String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Console console = Console.plain(stream(out), stream(err));
    int status =
        new CommandLine(new ExplainCommand(console, input))
            .setUnmatchedOptionsArePositionalParams(true)
            .setExecutionExceptionHandler(
                (e, line, result) -> {
                  console.err().println(e.getMessage());
                  return Main.BAD_INPUT;
                })
            .execute(arguments);
    console.out().flush();
    console.err().flush();
    return new Ran(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private static PrintStream stream(ByteArrayOutputStream bytes) {
    return new PrintStream(bytes, false, StandardCharsets.UTF_8);
  }

  @Test
  void shouldNameEachErrnoThatTheEngineAnswersWith() throws IOException {
    Codes codes = new Codes();
    Pattern pair = Pattern.compile("Errno\\.(\\w+),\\s*Reason\\.(\\w+)");
    try (Stream<Path> files = Files.walk(Ran.ROOT.resolve("core/src/main/java"))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
        Matcher matcher = pair.matcher(Files.readString(file));
        while (matcher.find()) {
          Code code = codes.named(matcher.group(2)).orElseThrow();
          assertThat(code.answersWith(Errno.valueOf(matcher.group(1))))
              .as(matcher.group())
              .isTrue();
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Reason.class)
  void shouldExplainEachReason(Reason reason) {
    Ran ran = Ran.vfio("explain", reason);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo(reason.name());
    assertThat(ran.out()).contains("What helps");
  }

  @ParameterizedTest
  @ValueSource(strings = {"EBUSY", "ebusy", "16", "-16", "-EBUSY", "Device or resource busy"})
  void shouldListWhatAnErrnoCanMean(String errno) {
    Ran ran = Ran.vfio("explain", errno);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo("EBUSY (16) can mean");
    assertThat(ran.out()).contains("BACKING_GROUP_HELD", "GROUP_OPEN", "VFIO_SET_IOMMU");
  }

  /** What "More" prints is pasted whole, with whatever stood between the codes. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "NO_DOMAIN DEVICE_NOT_IN_GROUP",
        "NO_DOMAIN | DEVICE_NOT_IN_GROUP",
        "no-domain,device-not-in-group"
      })
  void shouldExplainSeveralCodes(String codes) {
    Ran ran = Ran.vfio((Object[]) ("explain " + codes).split(" "));
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).contains("NO_DOMAIN", "DEVICE_NOT_IN_GROUP");
  }

  @Test
  void shouldPrintOneLineACodeThatCanBePasted() {
    Ran ran = Ran.vfio("explain", "Failed to set iommu for container: Operation not permitted");
    List<String> more = ran.lines().stream().filter(l -> l.startsWith("  vfio explain ")).toList();
    assertThat(more).hasSize(2);
    for (String line : more) {
      assertThat(Ran.vfio((Object[]) line.strip().substring("vfio ".length()).split(" ")).status())
          .isZero();
    }
  }

  @Test
  void shouldPutWhatTheMessageIsAboutIntoTheAnswer() {
    Ran ran =
        Ran.vfio(
            "explain", "vfio 0000:3b:00.0: failed to open /dev/vfio/84: Device or resource busy");
    assertThat(ran.status()).isZero();
    assertThat(ran.out())
        .contains("$ fuser -v /dev/vfio/84", "/sys/kernel/iommu_groups/84/devices");
  }

  @Test
  void shouldTakeAMessageGivenAsWords() {
    Object[] words =
        "explain qemu-kvm: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable"
            .split(" ");
    Ran ran = Ran.vfio(words);
    assertThat(ran.status()).isZero();
    assertThat(ran.lines()).first().isEqualTo("The group is not viable");
    assertThat(ran.out()).contains("A message of QEMU", "vfio explain GROUP_NOT_VIABLE");
  }

  @Test
  void shouldTakeAMessageThatBeginsWithADash() {
    assertThat(Ran.vfio("explain", "--", "-device vfio-pci: group 1 is not viable").status())
        .isZero();
  }

  @Test
  void shouldSuggestWhereNothingIsKnown() {
    Ran ran = Ran.vfio("explain", "GROUP_OPN");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out()).contains("Nothing is known", "GROUP_OPEN");
    Ran json = Ran.vfio("explain", "GROUP_OPN", "--json");
    assertThat(json.status()).isEqualTo(1);
    assertThat(json.out())
        .contains("\"found\": false")
        .containsPattern("\"suggestions\": \\[\\s+\"GROUP_OPEN");
  }

  /** An errno by itself has eighteen causes; a list of them is no answer. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "something failed: Invalid argument",
        "error -22 while doing it",
        "the frobnicator said EBUSY",
        "write failed: Operation not permitted"
      })
  void shouldNotAnswerFromAnErrnoAlone(String message) {
    Ran ran = Ran.vfio("explain", message);
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out()).contains("an errno alone does not tell").doesNotContain("can mean\n");
  }

  @Test
  void shouldNotSendWhoAsksForAnErrnoToItself() {
    Ran ran = Ran.vfio("explain", "ERANGE");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out())
        .contains("No call that is known here answers with ERANGE.")
        .doesNotContain("vfio explain");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "I like trains",
        "ext4: mounted filesystem with ordered data mode",
        "Failed to start nginx.service: Unit not found",
        "connection refused",
        "0000:01:00.0",
        "usb 1-1: new high-speed USB device number 2 using xhci_hcd"
      })
  void shouldKnowNothingOfOtherThings(String message) {
    assertThat(Ran.vfio("explain", message).status()).isEqualTo(1);
  }

  @Test
  void shouldFindTheLineThatDecidesFromTheEndOfALog() throws IOException {
    Path log =
        Files.writeString(
            folder.resolve("qemu.log"),
            """
            2024-05-01 10:00:00.000+0000: starting up libvirt version: 8.0.0
            2024-05-01T10:00:01.1Z qemu-system-x86_64: vfio: Cannot reset device 0000:00:1f.3, no available reset mechanism.
            2024-05-01T10:00:02.1Z qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable
            Please ensure all devices within the iommu_group are bound to their vfio bus driver.
            2024-05-01 10:00:03.000+0000: shutting down, reason=failed
            start failed: QEMU exited with code 1
            """);
    for (Ran ran :
        List.of(
            Ran.vfio("explain", log),
            Ran.vfio("explain", "--file", log),
            piped(Files.readAllBytes(log)),
            piped(Files.readAllBytes(log), "-"),
            piped(Files.readAllBytes(log), "-f", "-"))) {
      assertThat(ran.status()).as(ran.err()).isZero();
      assertThat(ran.lines()).first().isEqualTo("The group is not viable");
      assertThat(ran.out()).contains("line 4 of", "line 2 of 6: The device cannot be reset");
    }
  }

  /** Lines of one shape are read once, the last of them; a line that differs is not lost. */
  @Test
  void shouldReadALogOfManyMegabytes() throws IOException {
    StringBuilder log = new StringBuilder();
    for (int i = 0; i < 100_000; i++) {
      log.append(
          "[%5d.%06d] usb 1-1: new high-speed USB device number 7 using xhci_hcd\n"
              .formatted(i, i));
      if (i == 50_000) {
        log.append("[50000.1] vfio 0000:01:00.0: group 1 is not viable\n");
      }
    }
    Path big = Files.writeString(folder.resolve("journal.log"), log);
    Ran ran = Ran.vfio("explain", big);
    assertThat(ran.status()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("The group is not viable", "line 50002 of 100001");
  }

  /** The kernel's line says which of the causes of QEMU's line it was. */
  @Test
  void shouldLetALineDecideThatSettlesWhichCauseItWas() {
    String log =
        """
        [  102.100000] DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.
        qemu-kvm: vfio 0000:04:00.1: failed to setup container for group 37: Failed to set iommu for container: Operation not permitted
        """;
    Ran ran = Ran.vfio("explain", "--", log);
    assertThat(ran.lines()).first().isEqualTo("Firmware reserves memory for the device (RMRR)");
    assertThat(ran.out()).contains("line 1 of 2", "line 2 of 2: The IOMMU refuses the group");
  }

  @Test
  void shouldAskForTheLinesBeforeAConsequence() {
    Ran ran = Ran.vfio("explain", "TASK ERROR: start failed: QEMU exited with code 1");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out()).contains("only says that something before it failed");
  }

  @Test
  void shouldNameTheDevicesOfTheHost() {
    Path host = Ran.host("two-nics");
    Ran ran = Ran.vfio("explain", "vfio 0000:01:00.0: group 1 is not viable", "--host", host);
    assertThat(ran.status()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("On host", "Not viable:", "0000:01:00.1");
    Ran json = Ran.vfio("explain", NOT_VIABLE, "--json", "--host", host);
    assertThat(json.out()).contains("\"host\": {", "\"driver\"");
  }

  @Test
  void shouldListWhatIsKnown() {
    Ran ran = Ran.vfio("explain", "--list");
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).contains("the kernel", "QEMU", "group-not-viable", "kinds of message");
    assertThat(Ran.vfio("explain", "--list", "--json").out())
        .contains("\"rule\": \"group-not-viable\"");
  }

  @Test
  void shouldPrintTheWholeAnswerAsJson() {
    Ran code = Ran.vfio("explain", "RMRR_LOCKED", "--json");
    assertThat(code.out())
        .contains("\"code\": \"RMRR_LOCKED\"", "\"errno\": \"EPERM\"", "\"fixes\": [");
    Ran message = Ran.vfio("explain", NOT_VIABLE, "--json");
    assertThat(message.out())
        .contains(
            "\"rule\": \"group-not-viable\"",
            "\"certainty\": \"certain\"",
            "\"speaker\": \"qemu\"",
            "\"group\": \"1\"",
            "\"address\": \"0000:01:00.0\"",
            "\"verify\": [",
            "GROUP_NOT_VIABLE");
  }

  @Test
  void shouldCleanWhatAMessageHoldsBeforeItReachesTheTerminal() {
    Ran ran =
        Ran.vfio("explain", "line one\n\u001b]0;title\u0007" + NOT_VIABLE + "\u001b[2J\u202e");
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).doesNotContain("\u001b", "\u0007", "\u202e");
    Ran unknown = Ran.vfio("explain", "\u001b[31mwhat\u0007ever");
    assertThat(unknown.out()).doesNotContain("\u001b", "\u0007");
  }

  @Test
  void shouldRefuseWhatIsNoText() throws IOException {
    byte[] binary = new byte[10_000];
    Path zeros = Files.write(folder.resolve("zeros.bin"), binary);
    Path empty = Files.write(folder.resolve("empty.log"), new byte[0]);
    Path big = Files.write(folder.resolve("big.log"), new byte[32 << 20]);
    for (Path path :
        List.of(zeros, empty, big, folder, folder.resolve("missing"), Path.of("/dev/zero"))) {
      Ran ran = Ran.vfio("explain", "--file", path);
      assertThat(ran.status()).as(path + ": " + ran.out() + ran.err()).isEqualTo(2);
      assertThat(ran.err()).startsWith("vfio: ").hasLineCount(1);
    }
    Ran json = Ran.vfio("explain", "--json", "--file", folder.resolve("missing"));
    assertThat(json.status()).isEqualTo(2);
    assertThat(json.out()).contains("\"error\":\"").contains("missing");
    assertThat(piped(binary).status()).isEqualTo(2);
    assertThat(piped(new byte[0]).status()).isEqualTo(2);
    assertThat(Ran.vfio("explain", "a", "--file", empty).status()).isEqualTo(2);
    assertThat(Ran.vfio("explain", NOT_VIABLE, "--host", folder.resolve("missing")).status())
        .isEqualTo(2);
  }
}
