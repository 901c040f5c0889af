// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Text that was written to be shown on somebody's terminal: colours, the command that sets a
 * window's title, the eight-bit control sequence, marks that turn the direction of text, a line
 * that pretends to be the command's own.
 */
class HostileTextTest {
  private static final String POISON =
      "x\u001b[45mRED\u001b]0;title\u0007\u009b2J\u202eABC\u2066\u200b\b\u007f\r\nadmitted: PWNED";

  private static final Pattern OWN_COLOURS = Pattern.compile("\u001b\\[[0-9;]*m");

  /** A field of a capture and its text. */
  private static final Pattern TEXT = Pattern.compile("\"(\\w+)\":\\s*(\\[\\s*)?\"([^\"\\\\]*)\"");

  @TempDir Path folder;

  private static void assertHarmless(Object... command) {
    Ran ran = Ran.on(100, true, command);
    assertClean(List.of(command).toString(), ran.out(), ran.err());
    if (!List.of(command).contains("--json")) {
      Ran narrow = Ran.on(40, true, command);
      assertClean(List.of(command).toString(), narrow.out(), narrow.err());
    }
    assertThat(ran.status()).as("%s: %s", List.of(command), ran.err()).isLessThan(Main.BROKEN);
  }

  private static void assertClean(String what, String... printed) {
    for (String text : printed) {
      assertThat(text.contains("\u001b[45m")).as(what).isFalse();
      String rest = OWN_COLOURS.matcher(text).replaceAll("");
      assertThat(
              rest.chars().filter(c -> c != '\n' && Text.steers(c)).mapToObj(Integer::toHexString))
          .as("characters that steer a terminal, from %s", what)
          .isEmpty();
      // Wrapping may put it at the beginning of a line, but indented below what it belongs to.
      assertThat(rest.lines().filter(l -> l.startsWith("admitted: PWNED"))).as(what).isEmpty();
    }
  }

  private static String inJson(String text) {
    StringBuilder escaped = new StringBuilder();
    text.chars().forEach(c -> escaped.append("\\u%04x".formatted(c)));
    return escaped.toString();
  }

  /** The capture once for each kind of field, with that field's first text poisoned. */
  private static Map<String, String> poisoned(String capture) {
    Map<String, String> all = new LinkedHashMap<>();
    Matcher texts = TEXT.matcher(capture);
    while (texts.find()) {
      String changed =
          capture.substring(0, texts.end(3)) + inJson(POISON) + capture.substring(texts.end(3));
      all.putIfAbsent(texts.group(1), changed);
    }
    return all;
  }

  @ParameterizedTest
  @ValueSource(strings = {"two-nics", "vgpu-server", "t440"})
  void shouldShowNothingOfACaptureAsItsAuthorWants(String name) throws IOException {
    Map<String, String> captures = poisoned(Files.readString(Ran.host(name)));
    assertThat(captures.keySet()).hasSizeGreaterThan(4).contains("name", "address");
    for (Map.Entry<String, String> capture : captures.entrySet()) {
      Path file = folder.resolve(capture.getKey() + ".json");
      Files.writeString(file, capture.getValue());
      everyCommand(file);
    }
  }

  @Test
  void shouldShowNothingOfEveryDriverAndNameAtOnce() throws IOException {
    String capture = Files.readString(Ran.host("two-nics"));
    String all =
        capture
            .replaceAll("\"igb\"", Matcher.quoteReplacement("\"igb" + inJson(POISON) + "\""))
            .replace("\"two-nics\"", "\"" + inJson(POISON) + "\"");
    Path file = Files.writeString(folder.resolve("all.json"), all);
    everyCommand(file);
    Ran ran = Ran.on(100, true, "check", request(file, "0000:01:00.0"));
    assertThat(ran.out()).contains("igbx").contains("PWNED");
  }

  private void everyCommand(Path host) throws IOException {
    assertHarmless("host", host);
    assertHarmless("host", host, "--json");
    assertHarmless("host", host, "--svg", "-");
    assertHarmless("capture", host);
    assertHarmless("check", request(host, "0000:01:00.0"));
    assertHarmless("check", request(host, "0000:01:00.0"), "--json");
    assertHarmless("check", request(host, "0000:01:00.0"), "--as", "qemu");
    assertHarmless("explain", "0000:01:00.0: group 1 is not viable", "--host", host);
    assertHarmless("explain", "0000:01:00.0: group 1 is not viable", "--host", host, "--json");
    Path script = Files.writeString(folder.resolve("a.vt"), "case x\ng = grp 0000:01:00.0\n");
    assertHarmless("replay", script, "--host", host);
  }

  private Path request(Path host, String device) throws IOException {
    return Files.writeString(
        folder.resolve("request.yaml"),
        "host: '%s'\nvms:\n  a: {devices: ['%s']}\n".formatted(host.getFileName(), device));
  }

  private static String inYaml(String text) {
    StringBuilder escaped = new StringBuilder("\"");
    text.chars().forEach(c -> escaped.append("\\u%04x".formatted(c)));
    return escaped.append('"').toString();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "host: %s\nvms: {a: {devices: ['0000:01:00.0']}}\n",
        "host: HOST\nvms: {%s: {devices: ['0000:01:00.0', '0000:09:00.0']}}\n",
        "host: HOST\nvms: {a: {devices: [%s]}}\n",
        "host: HOST\nvms: {a: {devices: [{wrap: %s}]}}\n",
        "host: HOST\nvms: {a: {devices: [{mdev: %s}]}}\n",
        "host: HOST\nvms: {a: {devices: [{aux: '0000:01:00.0', type: %s}]}}\n",
        "host: HOST\nvms: {a: {memory: %s, devices: []}}\n",
        "host: HOST\nvms: {a: {devices: [{%s: '0000:01:00.0'}]}}\n",
        "host: HOST\nvms: {a: {%s: 1, devices: []}}\n",
        "host: HOST\n%s: 1\nvms: {a: {devices: []}}\n",
        "host: HOST\nvms: {a: {devices: ['0000:01:00.0']}}\ndrivers: {'0000:01:00.1': %s}\n",
        "host: HOST\nvms: {a: {devices: ['0000:01:00.1']}}\nrunning: {%s: {holds: [1]}}\n",
        "host: HOST\nvms: {a: {devices: ['0000:01:00.1']}}\nrunning: {b: {holds: [%s]}}\n",
      })
  void shouldShowNothingOfARequestAsItsAuthorWants(String form) throws IOException {
    String text =
        form.replace("HOST", Ran.host("two-nics").toAbsolutePath().toString())
            .replace("%s", inYaml(POISON));
    Path file = Files.writeString(folder.resolve("request.yaml"), text);
    assertHarmless("check", file);
    assertHarmless("check", file, "--json");
    assertHarmless("check", file, "--as", "qemu");
    assertHarmless("check", file, "--as", "libvirt");
    assertHarmless("check", file, "--as", "proxmox");
  }

  @Test
  void shouldShowNothingOfAPasteOrItsPathAsItsAuthorWants() throws IOException {
    String line = POISON.replace("\n", "").replace("\r", "");
    String lspci =
        """
        01:00.0 Ethernet controller [0200]: Intel %1$s [8086:1521] (rev 01)
        	Subsystem: %1$s
        	Kernel driver in use: igb%1$s
        	IOMMU group: 1%1$s
        01:00.1 Ethernet controller [0200]: %1$s
        	Flags: IOMMU group 1 %1$s
        [    1.0] vfio-pci 0000:01:00.1: %1$s
        """
            .formatted(line);
    everyCommand(Files.writeString(folder.resolve("lspci.txt"), lspci));
    Path named = Files.writeString(folder.resolve("a\u001b[45mRED\u202e\n.txt"), lspci);
    everyCommand(named);
    assertHarmless("host", folder.resolve("no\u001b[45mRED\u202e\nadmitted: PWNED"));
    assertHarmless("host", named, "--svg", folder.resolve("no\u001b[45m\n/x.svg"));
    assertHarmless("capture", named, "-o", folder.resolve("x\u001b[45mRED\u202e\n.json"));
    Path log =
        Files.writeString(
            folder.resolve("log.txt"),
            "vfio 0000:01:00.0: group 1 is not viable " + POISON + "\n" + POISON + "\n");
    assertHarmless("explain", "--file", log);
    assertHarmless("explain", "--file", log, "--json");
  }

  @Test
  void shouldShowNothingOfAnArgumentAsItsAuthorWants() {
    for (String command :
        List.of(
            "host",
            "check",
            "capture",
            "bind",
            "release",
            "define",
            "undefine",
            "replay",
            "explain",
            "serve")) {
      assertHarmless(command, POISON);
      assertHarmless(command, POISON, POISON, "--json");
      assertHarmless(command, "--" + POISON);
    }
    assertHarmless(POISON);
    assertHarmless("serve", "ioat", "--socket", "/nosuch/" + POISON);
    assertHarmless("serve", "ioat", "--socket", "x", "--group", POISON);
    assertHarmless("serve", "ioat", "--socket", "x", "--mode", POISON);
    assertHarmless("explain", "0000:01:00.0: group 1 is not viable " + POISON);
    assertHarmless("bind", "--driver", POISON, "0000:01:00.0");
    assertHarmless("define", "0000:01:00.0", "--uuid", POISON);
    assertHarmless("define", "0000:01:00.0", "--root", "/nosuch/" + POISON);
    assertHarmless("replay", "x", "--kernel", POISON);
    assertHarmless("replay", "x", "--on", POISON);
    assertHarmless("check", "x", "--as", POISON);
    assertHarmless("check", "x", "--force", POISON);
  }

  /** No program that reads the JSON may lose what a capture says. */
  @Test
  void shouldKeepInJsonWhatItHides() throws IOException {
    String capture =
        Files.readString(Ran.host("two-nics"))
            .replace("\"igb\"", "\"igb" + inJson("\u202e\u009b\ud83d\ude00") + "\"");
    Path file = Files.writeString(folder.resolve("a.json"), capture);
    Path again = Files.writeString(folder.resolve("b.json"), Ran.vfio("capture", file).out());
    assertThat(again).content().contains("igb\\u202e\\u009b\ud83d\ude00");
    assertThat(Ran.vfio("capture", again).out()).isEqualTo(Files.readString(again));
  }
}
