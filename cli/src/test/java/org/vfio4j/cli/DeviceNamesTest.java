// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciIds;

/** Names of vendors and devices in words, beside the ids that say the same. */
class DeviceNamesTest {
  private static final PciIds NAMES =
      PciIds.of("8086  Intel Corporation\n\t1521  I350 Gigabit Network Connection\n");

  private static String shown(int width, Consumer<Console> what) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(out, false, StandardCharsets.UTF_8);
    what.accept(new Console(new Screen(stream), new Screen(stream), width, false, true, false));
    stream.flush();
    return out.toString(StandardCharsets.UTF_8);
  }

  private static HostTopology twoNics() throws IOException {
    Path file = Ran.host("two-nics");
    return HostSource.parse("two-nics", "two-nics", Files.readAllBytes(file)).getFirst();
  }

  private static String check(int width, PciIds names) throws IOException {
    HostTopology host = twoNics();
    DeviceRequest device = DeviceRequest.whole("0000:01:00.0");
    Request request = Request.of(VmRequest.of("web", device), VmRequest.of("db", device));
    return shown(
        width,
        console ->
            new CheckRendering(console, host, names)
                .print(Check.verdict(request, host, Options.DEFAULT), 0));
  }

  @Test
  void shouldNameDevicesOfATableByTheListWhereTheSourceDoesNot() throws IOException {
    HostTopology host = twoNics();
    String table = shown(120, console -> new HostText(console, host, NAMES).print());
    assertThat(table.lines().filter(l -> l.contains("8086:1521")))
        .hasSize(2)
        .allMatch(l -> l.contains("Intel I350 Gigabit Network Connection"));
    assertThat(shown(120, console -> new HostText(console, host, PciIds.NONE).print()))
        .doesNotContain("I350");
  }

  @Test
  void shouldNameADeviceOfAVerdictOnceWhereItComesFirst() throws IOException {
    List<String> lines = check(200, NAMES).lines().filter(l -> l.contains("I350")).toList();
    assertThat(lines).hasSize(1);
    assertThat(lines.getFirst()).contains("0000:01:00.0");
    assertThat(check(200, PciIds.NONE)).doesNotContain("I350");
  }

  @ParameterizedTest
  @ValueSource(ints = {100, 80, 79, 60, 40, 32})
  void shouldKeepNamesWithinTheScreen(int width) throws IOException {
    HostTopology host = twoNics();
    String all = shown(width, console -> new HostText(console, host, NAMES).print());
    assertThat((all + check(width, NAMES)).lines())
        .allMatch(l -> Text.width(l) <= width || !l.strip().contains(" "));
  }

  @Test
  void shouldLetNoNameSteerATerminal() throws IOException {
    PciIds hostile = PciIds.of("8086  Intel\u001b[45m\u202eX\n\t1521  A\u009b2J\u0007B\n");
    HostTopology host = twoNics();
    for (int width : new int[] {40, 120}) {
      String all = shown(width, console -> new HostText(console, host, hostile).print());
      assertThat((all + check(width, hostile)).chars().filter(c -> c != '\n' && Text.steers(c)))
          .isEmpty();
    }
  }

  @Test
  void shouldTakeWhatTheSourceSaysBeforeTheList() throws IOException {
    String text = "01:00.0 Ethernet controller [0200]: Somebody's own NIC [8086:1521]\n";
    HostTopology host =
        HostSource.parse("a.txt", "a", text.getBytes(StandardCharsets.UTF_8)).getFirst();
    assertThat(shown(140, console -> new HostText(console, host, NAMES).print()))
        .contains("Somebody's own NIC")
        .doesNotContain("I350");
  }
}
