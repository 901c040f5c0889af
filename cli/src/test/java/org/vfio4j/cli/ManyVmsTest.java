// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.UnixSocket;
import org.vfio4j.posix.Uses;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.Message;
import org.vfio4j.user.wire.Version;

/**
 * What many VMs take of a daemon's process, and that it comes back; {@code bench/broker/run}
 * measures it.
 */
@Timeout(120)
class ManyVmsTest {
  private static final int VMS = 64;
  private static final List<String> DEVICES = List.of("edu", "ioat", "edu-2", "ioat-2");
  private static final long SERVED = (long) VMS * DEVICES.size();
  private static final int RAM = 1 << 24;

  /** Of what is not a device's: the process, its HTTP and its files. */
  private static final int BESIDES = 64;

  @TempDir Path folder;

  private static long files() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  /** Threads that serve devices, or are devices'. */
  private static long threads() {
    ThreadGroup all = Thread.currentThread().getThreadGroup();
    while (all.getParent() != null) {
      all = all.getParent();
    }
    Thread[] found = new Thread[8 * (int) SERVED];
    int count = all.enumerate(found);
    return Stream.of(found)
        .limit(count)
        .map(Thread::getName)
        .filter(name -> name.startsWith("vfio-user ") || name.equals("ioat"))
        .filter(name -> !name.startsWith("vfio-user disposal "))
        .count();
  }

  /**
   * KiB of memory that is not of a file, nor of the heap, which takes as much as the machine has.
   */
  private static long memory() throws IOException {
    long heap =
        ManagementFactory.getMemoryPoolMXBeans().stream()
            .filter(pool -> pool.getType() == MemoryType.HEAP)
            .mapToLong(pool -> pool.getPeakUsage().getUsed() / 1024)
            .sum();
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("RssAnon:"))
            .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
            .findFirst()
            .orElseThrow()
        - heap;
  }

  private static String name(int vm) {
    return "vm%02d".formatted(vm);
  }

  /** As little as a client can be: one descriptor and no thread. */
  private UnixSocket client(Path socket, Descriptor ram) {
    UnixSocket client = UnixSocket.connect(SystemCalls.libc(), socket);
    ask(client, new Version(0, 1, Capabilities.NONE), List.of());
    ask(client, new DmaMap(DmaMap.READ | DmaMap.WRITE, 0, 0, RAM), List.of(ram));
    return client;
  }

  private static void ask(UnixSocket client, Message command, List<Descriptor> descriptors) {
    try (Arena arena = Arena.ofConfined();
        Uses beside = Uses.of(descriptors)) {
      MemorySegment buffer = arena.allocate(4096);
      int size = Header.SIZE + command.length();
      command.encode(buffer, Header.SIZE);
      Header.encode(buffer, 0, 1, command.command(), size, 0, 0);
      client.send(buffer, 0, size, beside);
      assertThat(client.receive(buffer, 0, 4096)).isGreaterThanOrEqualTo(Header.SIZE);
      assertThat(Header.flags(buffer, 0) & Header.ERROR).isZero();
    }
  }

  @Test
  void shouldTakeLittleForEachDeviceAndGiveItBack() throws Exception {
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
    Path sockets = folder.resolve("s");
    Path request =
        Files.writeString(
            folder.resolve("vms.yaml"),
            IntStream.range(0, VMS)
                .mapToObj(
                    vm ->
                        "  %s: {devices: [{device: edu}, {device: ioat}, {device: edu}, {device: ioat}]}\n"
                            .formatted(name(vm)))
                .collect(Collectors.joining("", "vms:\n", "")));
    Path asked = sockets.resolve("daemon.sock");
    long before = files();
    try (RunningCommand daemon =
        new RunningCommand("daemon", "--folder", sockets, "--state", folder.resolve("state"))) {
      daemon.await("Answers at ");
      long idle = files();
      long memory = memory();
      Ran up = Ran.vfio("up", "-d", request, "--socket", asked);
      assertThat(up.status()).as(up.err()).isZero();
      assertThat(threads()).as("one serves, one accepts").isEqualTo(2 * SERVED);
      assertThat(files()).as("a socket and its lock").isLessThan(idle + 2 * SERVED + VMS + BESIDES);

      List<UnixSocket> clients = new ArrayList<>();
      for (int vm = 0; vm < VMS; vm++) {
        try (Descriptor ram = Memfd.sealed(SystemCalls.libc(), "ram", RAM)) {
          for (String device : DEVICES) {
            clients.add(client(sockets.resolve(name(vm)).resolve(device + ".sock"), ram));
          }
        }
      }
      assertThat(threads()).as("a channel of each ioat").isEqualTo(2 * SERVED + SERVED / 2);
      assertThat(files())
          .as("a connection, and the client's end of it")
          .isLessThan(idle + 4 * SERVED + VMS + BESIDES);
      assertThat(memory() - memory).as("KiB, less than a MiB each").isLessThan(1024 * SERVED);

      clients.forEach(UnixSocket::close);
      RunningCommand.until("all have left", () -> threads() == 2 * SERVED);
      Ran down =
          Ran.vfio(
              Stream.concat(
                      Stream.of("down", "--socket", asked),
                      IntStream.range(0, VMS).mapToObj(ManyVmsTest::name))
                  .toArray());
      assertThat(down.status()).as(down.err()).isZero();
      assertThat(threads()).isZero();
      assertThat(files()).isLessThan(idle + BESIDES);
    }
    assertThat(files()).isLessThan(before + BESIDES);
    assertThat(sockets).isEmptyDirectory();
  }
}
