// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.qtest.Qemu;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A daemon plugs devices into an unmodified QEMU and out of it, whose processor does not run: what
 * is in a slot that no guest has switched on can be taken out again. Suite qtest of vm-bench.
 */
@Timeout(120)
class HotPlugQemuTest {
  @TempDir Path folder;
  private Path sockets;
  private Path request;
  private final List<Process> started = new ArrayList<>();

  @BeforeEach
  void own() throws IOException {
    sockets = folder.resolve("sockets");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    request =
        Files.writeString(
            folder.resolve("two.yaml"),
            """
            host: %s
            drivers: {'0000:01:00.0': none, '0000:01:00.1': none}
            vms:
              web: {memory: 64MiB, qmp: %s/web, devices: [0000:01:00.0]}
              db: {memory: 64MiB, qmp: %s/db, devices: [{device: edu}]}
            """
                .formatted(Ran.host("two-nics").toAbsolutePath().normalize(), folder, folder));
  }

  @AfterEach
  void end() throws Exception {
    for (Process each : started) {
      each.destroyForcibly().waitFor();
    }
  }

  private Ran ask(Object... words) {
    Stream<Object> where = Stream.of("--socket", sockets.resolve("daemon.sock"));
    return Ran.vfio(Stream.concat(Stream.of(words), where).toArray());
  }

  /** Starts the VM's QEMU with the arguments that 'up' has printed for it. */
  private void start(String json, String vm) throws IOException {
    JsonMapper mapper = new JsonMapper();
    JsonNode serving =
        json.lines()
            .map(mapper::readTree)
            .filter(n -> n.path("vm").asString("").equals(vm) && n.has("qemu"))
            .findFirst()
            .orElseThrow();
    List<String> command = new ArrayList<>(List.of(Qemu.path().toString(), "-S", "-nodefaults"));
    command.addAll(List.of("-display", "none", "-m", "64M"));
    // Slots as PCIe has them: ACPI would ask a guest in any case.
    command.addAll(List.of("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"));
    serving.path("qemu").valueStream().map(JsonNode::asString).forEach(command::add);
    Path log = folder.resolve(vm + ".log");
    Process qemu =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    started.add(qemu);
    RunningCommand.until(
        "its devices", () -> !qemu.isAlive() || ask("ps").out().contains(qemu.pid() + "\n"));
    assertThat(qemu.isAlive()).as(Files.readString(log)).isTrue();
  }

  @Test
  void shouldMoveADeviceFromOneRunningVmToAnother() throws Exception {
    Qemu.path();
    try (RunningCommand daemon =
        new RunningCommand(
            "daemon",
            "--folder",
            sockets,
            "--state",
            folder.resolve("state"),
            "--unplug-timeout",
            3)) {
      daemon.await("Answers at ");
      Ran up = ask("up", "-d", "--json", request);
      assertThat(up.status()).as(up.out() + up.err()).isZero();
      Ran early = ask("attach", "db", "0000:01:00.1");
      assertThat(early.out() + early.err()).contains("group");
      Ran waits = ask("attach", "web", "0000:01:00.1");
      assertThat(waits.out()).contains("web gets it when it starts");
      assertThat(ask("detach", "web", "0000:01:00.1").status()).isZero();
      start(up.out(), "web");
      start(up.out(), "db");
      Ran plugged = ask("attach", "web", "0000:01:00.1");
      assertThat(plugged.status()).as(plugged.err()).isZero();
      assertThat(plugged.out()).contains("is vfio-0000-01-00.1 of web, behind vfio1-port");
      assertThat(ask("ps").out()).containsPattern("0000:01:00.1 +in use");
      Ran refused = ask("attach", "db", "0000:01:00.1");
      assertThat(refused.status()).as("the group is web's").isEqualTo(Main.REFUSED);
      Ran kept = ask("detach", "web", "0000:01:00.0");
      assertThat(kept.status()).as("its slot is switched on, and no guest runs").isEqualTo(1);
      assertThat(kept.err()).contains("has not let go of").contains("driver for hot plug");
      assertThat(ask("ps").out()).containsPattern("0000:01:00.0 +in use");
      Ran unplugged = ask("detach", "web", "0000:01:00.1");
      assertThat(unplugged.status()).as(unplugged.err()).isZero();
      assertThat(ask("ps").out()).doesNotContain("0000:01:00.1");
      started.getFirst().destroyForcibly().waitFor();
      RunningCommand.until("web has left", () -> ask("down", "web").status() == Main.OK);
      Ran moved = ask("attach", "db", "0000:01:00.1");
      assertThat(moved.status()).as(moved.out() + moved.err()).isZero();
      assertThat(moved.out()).contains("is vfio-0000-01-00.1 of db");
    }
  }
}
