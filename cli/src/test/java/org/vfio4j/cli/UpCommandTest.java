// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.user.Client;
import org.vfio4j.user.device.Pci;

/** {@code vfio up} on a machine without an IOMMU; kernel-bench has it on real devices. */
class UpCommandTest {
  private static final int EDU = 0x11e81234;

  @TempDir Path folder;
  private Path sockets;

  /** As the command's folder is: nobody else may write to it. */
  @BeforeEach
  void own() throws IOException {
    sockets = folder.resolve("sockets");
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
  }

  private RunningCommand up(Object... arguments) {
    Stream<Object> all = Stream.of("up", "--folder", sockets);
    return new RunningCommand(Stream.concat(all, Stream.of(arguments)).toArray());
  }

  private Path file(String yaml) throws IOException {
    return Files.writeString(folder.resolve("vms.yaml"), yaml);
  }

  private Ran refused(String yaml, Object... more) throws IOException {
    Stream<Object> all = Stream.of("up", "--folder", sockets, file(yaml));
    return Ran.vfio(Stream.concat(all, Stream.of(more)).toArray());
  }

  private static int identity(Path socket) throws Exception {
    try (Client client = Client.connect(socket)) {
      return client.read32(Pci.CONFIG, 0);
    }
  }

  @Test
  void shouldServeTheTourByStandIns() throws Exception {
    try (RunningCommand up = up(Ran.ROOT.resolve("examples/tour.yaml"))) {
      up.await("Ctrl-C gives everything back.");
      assertThat(up.out())
          .contains("edu in place of 0000:05:00.0 at " + sockets.resolve("web/0000:05:00.0.sock"))
          .contains("edu in place of wrap 0000:7f:14.0 at ")
          .contains("size=8192M,share=on,prealloc=on");
      assertThat(identity(sockets.resolve("metrics/0000:7f:14.0.sock"))).isEqualTo(EDU);
      RunningCommand.until("who came", () -> up.out().contains("metrics: edu in place of"));
    }
    assertThat(sockets).isEmptyDirectory();
  }

  @Test
  void shouldPrintWhatReadmeShows() throws Exception {
    String readme = Files.readString(Ran.ROOT.resolve("README.md"));
    String command = "$ ./vfio up examples/up.yaml\n";
    int start = readme.indexOf(command) + command.length();
    String shown = readme.substring(start, readme.indexOf("```", start));
    try (RunningCommand up = up(Ran.ROOT.resolve("examples/up.yaml"))) {
      up.await("Ctrl-C gives everything back.\n");
      assertThat(up.out().replace(sockets.toString(), "/run/vfio4j")).isEqualTo(shown);
    }
  }

  @Test
  void shouldServeDevicesOfOursWithoutAHost() throws Exception {
    Path request =
        file(
            "vms: {'a lab': {memory: 256MiB, mode: 660, devices: [{device: edu}, {device: edu}]}}");
    try (RunningCommand up = up(request)) {
      up.await("Ctrl-C");
      Path second = sockets.resolve("a_lab/edu-2.sock");
      assertThat(identity(second)).isEqualTo(EDU);
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(second)))
          .isEqualTo("rw-rw----");
      assertThat(up.out())
          .contains("\"id\":\"vfio1\",\"bus\":\"vfio1-port\",\"x-msg-timeout\":60000");
    }
    assertThat(sockets).isEmptyDirectory();
  }

  @Test
  void shouldSayWhoServesAVmAlready() throws Exception {
    Path request = file("vms: {lab: {devices: [{device: edu}]}}");
    try (RunningCommand up = up(request)) {
      up.await("Ctrl-C");
      Ran second = Ran.vfio("up", "--folder", sockets, request);
      assertThat(second.status()).isEqualTo(Main.REFUSED);
      assertThat(second.err())
          .contains("lab is served already, by process " + ProcessHandle.current().pid());
      assertThat(identity(sockets.resolve("lab/edu.sock"))).isEqualTo(EDU);
    }
  }

  @Test
  void shouldTakeOverWhatAKilledOneLeft() throws Exception {
    Path left = Files.createDirectories(sockets.resolve("lab"));
    Files.writeString(sockets.resolve("lab.lock"), "1\n");
    Files.writeString(left.resolve("edu.sock.lock"), "1\n");
    try (RunningCommand up = up(file("vms: {lab: {devices: [{device: edu}]}}"))) {
      up.await("Ctrl-C");
      assertThat(identity(left.resolve("edu.sock"))).isEqualTo(EDU);
    }
    assertThat(sockets).isEmptyDirectory();
  }

  @Test
  void shouldNotUseAFolderThatOthersMayWriteTo() throws Exception {
    Files.createDirectories(sockets);
    Files.setPosixFilePermissions(sockets, PosixFilePermissions.fromString("rwxrwxrwx"));
    Ran ran = refused("vms: {lab: {devices: [{device: edu}]}}");
    assertThat(ran.status()).isEqualTo(Main.REFUSED);
    assertThat(ran.err()).contains("may be written by others");
  }

  @Test
  void shouldBeginNothingWhereTheCheckRefuses() throws Exception {
    Ran ran = Ran.vfio("up", Ran.ROOT.resolve("examples/matrix/4.yaml"), "--folder", sockets);
    assertThat(ran.status()).isEqualTo(Main.REFUSED);
    assertThat(ran.out()).contains("refused:");
    assertThat(sockets).doesNotExist();
  }

  @Test
  void shouldAnswerAsTheCheckInADryRun() {
    Path tour = Ran.ROOT.resolve("examples/tour.yaml");
    for (String form : List.of("--json", "--force=0000:01:00.0")) {
      Ran check = Ran.vfio("check", tour, form);
      Ran dry = Ran.vfio("up", tour, form, "--dry-run", "--folder", sockets);
      assertThat(dry.out()).isEqualTo(check.out());
      assertThat(dry.status()).isEqualTo(check.status());
    }
    assertThat(sockets).doesNotExist();
  }

  @Test
  void shouldRefuseWhatCannotBeServedWithItsPlace() throws Exception {
    String devices = "devices: [{device: edu}]";
    assertBad("vms: {lab: {user: nobody-of-this-name, %s}}", devices, "No user 'nobody-of-this");
    assertBad("vms: {lab: {group: nobody-of-this-name, %s}}", devices, "No group 'nobody-of-");
    assertBad("vms: {lab: {user: -1, %s}}", devices, "No user '-1'");
    assertBad("vms: {lab: {group: -1, %s}}", devices, "No group '-1'");
    assertBad("vms: {lab: {memory: 9223372036854771712, %s}}", devices, "1MiB to 4EiB");
    assertBad("vms: {lab: {mode: 999, %s}}", devices, "three octal digits");
    assertBad("vms: {lab: {timeout: 9999999s, %s}}", devices, "of six digits at most");
    String many = "{device: edu},".repeat(25);
    assertBad("vms: {lab: {devices: [%s]}}", many, "25 devices: QEMU's first bus has room");
    assertBad("vms: {lab: {timeout: soon, %s}}", devices, "a time is 80s");
    assertBad("vms: {lab: {mmap: maybe, %s}}", devices, "mmap is device or none");
    assertBad("vms: {lab: {devices: [{device: sedu}%s]}}", "", "a device of ours: ioat, edu");
    assertBad("vms: {lab: {devices: [{device: edu, reset: none}%s]}}", "", "reset");
    assertBad("vms: {lab: {devices: [0000:01:00.0%s]}}", "", "host");
    assertBad("vms: {'a b': {%1$s}, 'a/b': {%1$s}}", devices, "folder of another VM");
  }

  private void assertBad(String yaml, String part, String said) throws IOException {
    Ran ran = refused(yaml.formatted(part));
    assertThat(ran.err()).contains(said).contains("vms.yaml");
    assertThat(ran.status()).as(ran.err()).isEqualTo(Main.BAD_INPUT);
    assertThat(sockets).doesNotExist();
  }

  @Test
  void shouldBindNothingForAnotherMachine() {
    Ran ran = Ran.vfio("up", Ran.ROOT.resolve("examples/tour.yaml"), "--bind");
    assertThat(ran.status()).isEqualTo(Main.BAD_INPUT);
    assertThat(ran.err()).contains("is not this machine");
  }

  @Test
  void shouldStreamEventsAsJson() throws Exception {
    try (RunningCommand up = up(Ran.ROOT.resolve("examples/up.yaml"), "--json")) {
      up.await("{\"event\":\"ready\"}");
      identity(sockets.resolve("web/0000:01:00.1.sock"));
      up.await("\"event\":\"left\"");
      assertThat(up.out().lines()).allMatch(l -> l.startsWith("{\"event\":\""));
      assertThat(up.out())
          .contains("\"inPlaceOf\":\"wrap 0000:01:00.1\"")
          .contains("{\"event\":\"connected\",\"vm\":\"web\",\"device\":\"edu in place of");
    }
  }
}
