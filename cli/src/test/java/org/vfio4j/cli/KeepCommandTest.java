// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Client;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.SetIrqs;

/** {@code vfio keep}, with commands that die. */
class KeepCommandTest {
  @TempDir private Path folder;

  /** Counts its starts in what is kept, and dies at each but the last, which gives it back. */
  static final class Counting {
    private static final int STARTS = 4;

    private Counting() {}

    public static void main(String[] arguments) {
      Outliving outliving = Outliving.ofThisProcess();
      Optional<Outliving.Text> before = outliving.text("starts");
      int starts = before.map(t -> Integer.parseInt(t.text()) + 1).orElse(1);
      before.ifPresent(Outliving.Text::close);
      Outliving.Text now = outliving.write("starts", String.valueOf(starts));
      outliving.ready();
      if (starts < STARTS) {
        // As a crash: no hook, nothing closed.
        Runtime.getRuntime().halt(starts);
      }
      now.close();
      System.exit(10 + starts);
    }
  }

  private static int keep(ByteArrayOutputStream out, List<String> command) {
    List<String> words = new ArrayList<>(List.of("keep", "--"));
    words.addAll(command);
    PrintStream stream = new PrintStream(out, true, StandardCharsets.UTF_8);
    return Main.run(stream, stream, words.toArray(String[]::new));
  }

  @Timeout(60)
  @Test
  void shouldStartAgainWhatHasLeftSomething() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int status =
        keep(
            out,
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                Counting.class.getName()));
    assertThat(status).as(out.toString(StandardCharsets.UTF_8)).isEqualTo(14);
    assertThat(out.toString(StandardCharsets.UTF_8).lines())
        .hasSize(3)
        .allMatch(line -> line.matches("vfio keep: process \\d+ ended with status [123]: .*"));
  }

  @Test
  void shouldEndWithACommandThatLeavesNothing() throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(keep(out, List.of("sh", "-c", "exit 3"))).isEqualTo(3);
    assertThat(keep(out, List.of("/no/such/command"))).isEqualTo(127);
    Path said = folder.resolve("said");
    assertThat(keep(out, List.of("sh", "-c", "echo \"$@\" >" + said, "sh", "--json", "-x")))
        .isZero();
    assertThat(Files.readString(said)).as("options are the command's").isEqualTo("--json -x\n");
    assertThat(out.toString(StandardCharsets.UTF_8)).isEmpty();
  }

  /** A command of this build, in a process that says its number. */
  private List<String> vfio(Path pid, Path out, Object... arguments) {
    List<String> words =
        new ArrayList<>(
            List.of(
                "sh",
                "-c",
                "echo $$ >%s.new; mv %s.new %s; exec \"$@\" >>%s 2>&1"
                    .formatted(pid, pid, pid, out),
                "sh"));
    words.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    words.addAll(List.of("-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED", "-cp"));
    words.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    words.add(Main.class.getName());
    for (Object word : arguments) {
      words.add(word.toString());
    }
    return words;
  }

  private static String text(Path file) {
    try {
      return Files.exists(file) ? Files.readString(file) : "";
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void kill(Path pid, String signal) throws Exception {
    String number = text(pid).strip();
    Files.delete(pid);
    assertThat(new ProcessBuilder("kill", signal, number).start().waitFor()).isZero();
  }

  /** Registers, a factorial with its interrupt, and DMA to a file and back. */
  private static void use(Client edu, EventFd vector, MappedMemory memory, int n) throws Exception {
    edu.write32(0, 0x20, 0x80);
    edu.write32(0, 8, 10);
    assertThat(vector.await(Duration.ofSeconds(20))).isPositive();
    RunningCommand.until("10!", () -> edu.read32(0, 8) == 3_628_800);
    edu.write32(0, 0x64, 1);
    memory.segment().set(ValueLayout.JAVA_INT, 0, n);
    for (long[] move : new long[][] {{0, 0x40000, 1}, {0x40000, 64, 3}}) {
      edu.write64(0, 0x80, move[0]);
      edu.write64(0, 0x88, move[1]);
      edu.write64(0, 0x90, 4);
      edu.write64(0, 0x98, move[2]);
      RunningCommand.until("DMA", () -> (edu.read64(0, 0x98) & 1) == 0);
    }
    assertThat(memory.segment().get(ValueLayout.JAVA_INT, 64)).isEqualTo(n);
  }

  @Timeout(120)
  @Test
  void shouldHaveAnEduGoOnWhateverIsDoneToItsProcess() throws Exception {
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    Path request =
        Files.writeString(
            folder.resolve("vms.yaml"), "vms: {box: {devices: [{device: edu}, {device: ioat}]}}");
    Path pid = folder.resolve("pid");
    Path said = folder.resolve("said");
    Path sockets = folder.resolve("s");
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    AtomicInteger status = new AtomicInteger(-1);
    List<String> up = vfio(pid, said, "up", request, "--folder", sockets);
    Thread keeping = Thread.ofPlatform().start(() -> status.set(keep(out, up)));
    SystemCalls calls = SystemCalls.libc();
    List<Long> pauses = new ArrayList<>();
    RunningCommand.until("served", () -> text(said).contains("Ctrl-C gives everything back."));
    assertThat(text(said).lines().filter(line -> line.contains("ends with this process")))
        .singleElement()
        .asString()
        .contains("ioat");
    try (Descriptor file = Memfd.sealed(calls, "memory", 4096);
        MappedMemory memory = MappedMemory.ofFile(file, 0, 4096, DmaMap.READ | DmaMap.WRITE);
        EventFd vector = EventFd.create(calls);
        Client edu = Client.connect(sockets.resolve("box/edu.sock"))) {
      edu.map(0, 4096, DmaMap.READ | DmaMap.WRITE, file, 0);
      edu.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSI, 0, 1), vector);
      edu.write(Pci.CONFIG, 4, MemorySegment.ofArray(new byte[] {6, 0}), 0, 2);
      for (String signal : List.of("-KILL", "-TERM", "-KILL")) {
        int n = pauses.size();
        // Who dies sooner is started again later.
        long lived = System.nanoTime() + 1_200_000_000L;
        do {
          use(edu, vector, memory, n);
        } while (System.nanoTime() < lived);
        edu.write32(0, 4, n);
        long begin = System.nanoTime();
        kill(pid, signal);
        assertThat(edu.read32(0, 4)).isEqualTo(~n);
        pauses.add(Duration.ofNanos(System.nanoTime() - begin).toMillis());
        use(edu, vector, memory, n + 100);
      }
    }
    RunningCommand.until("told", () -> !text(pid).isEmpty());
    kill(pid, "-INT");
    keeping.join();
    assertThat(out.toString(StandardCharsets.UTF_8).lines()).hasSize(3);
    assertThat(sockets).isEmptyDirectory();
    System.out.println("an edu's pauses, in ms: " + pauses);
  }

  /** What a file says by UUID is what it meant when its VMs came. */
  @Timeout(120)
  @Test
  void shouldServeAWrappedFunctionOnWhoseUuidIsNotDefinedAnyMore() throws Exception {
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    String uuid = "c0ffee00-0000-4000-8000-000000000001";
    String nics = Files.readString(Ran.host("two-nics"));
    Path host =
        Files.writeString(
            folder.resolve("host.json"),
            nics.substring(0, nics.lastIndexOf('}'))
                + ",\"mdevDefinitions\":[{\"uuid\":\"%s\",\"parent\":\"0000:01:00.0\",\"type\":\"vfio4j-wrapped\",\"start\":\"manual\"}]}"
                    .formatted(uuid));
    Path request =
        Files.writeString(
            folder.resolve("vms.yaml"),
            "host: host.json\ndrivers: {'0000:01:00.0': none, '0000:01:00.1': none}\nvms: {box: {devices: [%s]}}"
                .formatted(uuid));
    Path pid = folder.resolve("pid");
    Path said = folder.resolve("said");
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    List<String> up = vfio(pid, said, "up", request, "--folder", folder.resolve("s"));
    Thread keeping = Thread.ofPlatform().start(() -> keep(out, up));
    RunningCommand.until("served", () -> text(said).contains("Ctrl-C gives everything back."));
    try (Client edu = Client.connect(folder.resolve("s/box/0000:01:00.0.sock"))) {
      edu.write32(0, 4, 1);
      Files.writeString(host, nics);
      kill(pid, "-KILL");
      assertThat(edu.read32(0, 4)).isEqualTo(~1);
      kill(pid, "-KILL");
      assertThat(edu.read32(0, 4)).isEqualTo(~1);
    }
    RunningCommand.until("told", () -> !text(pid).isEmpty());
    kill(pid, "-INT");
    keeping.join();
    assertThat(text(said)).doesNotContain("has no device");
  }
}
