// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whoever asks for JSON gets JSON, also where there is no answer. */
class JsonErrorTest {
  @TempDir Path folder;

  /** One object in one line, with the message that stands on standard error, and the status. */
  private static void assertError(Ran ran, int status) {
    assertThat(ran.status()).isEqualTo(status);
    assertThat(ran.err().lines()).hasSize(1);
    assertThat(ran.out().lines()).hasSize(1);
    String message = ran.err().strip().replaceFirst("^vfio: ", "").replaceFirst("; see '.*'$", "");
    assertThat(ran.out())
        .startsWith("{\"error\":\"" + message.replace("\"", "\\\"") + "\",\"status\":" + status)
        .endsWith("}" + System.lineSeparator());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "host nosuch.json",
        "host --bogus",
        "host ..",
        "capture nosuch.json",
        "check",
        "check nosuch.yaml",
        "check ../pom.xml",
        "check ../examples/tour.yaml --kernel x",
        "check ../examples/tour.yaml --host nosuch",
        "check ../examples/tour.yaml --force x",
        "check ../examples/tour.yaml --as x",
        "bind",
        "bind xx",
        "bind 0000:01:00.0 --driver igb",
        "release",
        "release xx",
        "define",
        "define xx",
        "define 0000:01:00.0 --uuid x",
        "undefine",
        "undefine xx",
        "replay nosuch.vt --host ../examples/hosts/qemu-q35.json",
        "replay ../pom.xml --host ../examples/hosts/qemu-q35.json",
        "explain --file /nosuch",
        "explain --host /nosuch group 1 is not viable",
        "serve",
        "serve nvme --socket x",
        "serve ioat --socket /nosuch/x",
        "completion x",
        "hots",
      })
  void shouldTellAnErrorAsJson(String line) {
    List<String> words = new ArrayList<>(List.of(line.split(" ")));
    words.add("--json");
    assertError(Ran.vfio(words.toArray()), Main.BAD_INPUT);
    Ran plain = Ran.vfio((Object[]) line.split(" "));
    assertThat(plain.out()).isEmpty();
    assertThat(plain.err()).isNotEmpty();
  }

  @Test
  void shouldNameFileLineAndFieldAsValues() throws IOException {
    Path bad =
        Files.writeString(
            folder.resolve("a.yaml"), "host: x\nvms:\n  a: {memory: 1Q, devices: []}\n");
    assertThat(Ran.vfio("check", bad, "--json").out())
        .contains("\"source\":\"" + bad + "\",\"line\":3,\"field\":\"vms.a.memory\"");
    assertThat(Ran.vfio("check", "--json").out()).contains("\"see\":\"vfio check --help\"");
  }

  @Test
  void shouldTakeJsonBeforeTheCommandToo() {
    Ran before = Ran.vfio("--json", "host", Ran.host("two-nics"));
    assertThat(before).isEqualTo(Ran.vfio("host", Ran.host("two-nics"), "--json"));
    assertThat(before.status()).isZero();
    assertError(Ran.vfio("--json"), Main.BAD_INPUT);
    assertError(Ran.vfio("--json", "host", "nosuch"), Main.BAD_INPUT);
  }

  /** What stands behind "--" is no option. */
  @Test
  void shouldNotTakeAMessageForAnOption() {
    Ran ran = Ran.vfio("explain", "--", "--json is not known here");
    assertThat(ran.out()).doesNotContain("{");
  }
}
