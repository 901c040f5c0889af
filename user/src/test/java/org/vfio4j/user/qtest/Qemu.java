// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/**
 * An unmodified QEMU without a processor, {@value #MEMORY_MIB} MiB of memory, and the devices that
 * it is given. Its path is in the system property {@code vfio4j.qemu}; without it the one that
 * {@code vm-bench/fetch} has fetched is taken, and where there is none the test is skipped.
 */
public final class Qemu implements AutoCloseable {
  /** Its memory. */
  public static final int MEMORY_MIB = 128;

  /** The end of memory, in bytes; nothing lies there. */
  static final long MEMORY_END = (long) MEMORY_MIB << 20;

  private final Process process;
  private final Path log;
  private final SocketChannel monitor;
  private final BufferedReader monitorIn;

  /** In place of a processor. */
  public final Qtest qtest;

  private Qemu(Process process, Path log, ServerSocketChannel qtest, ServerSocketChannel qmp)
      throws IOException {
    this.process = process;
    this.log = log;
    List<AutoCloseable> open = new ArrayList<>();
    boolean done = false;
    try {
      this.qtest = new Qtest(accept(qtest));
      open.add(this.qtest);
      monitor = accept(qmp);
      open.add(monitor);
      monitorIn = new BufferedReader(Channels.newReader(monitor, StandardCharsets.UTF_8));
      // It is heard only when all devices are there.
      awaitMonitor("\"QMP\"");
      monitor("qmp_capabilities");
      awaitMonitor("\"return\"");
      done = true;
    } finally {
      if (!done) {
        process.destroyForcibly();
        open.forEach(Qemu::quietly);
      }
    }
  }

  /** Starts one with these devices, at slots 5, 6 and on. */
  static Qemu start(Path folder, Plug... plugs) throws IOException {
    return start(folder, List.of(), List.of(plugs));
  }

  /** The same with other arguments besides. */
  static Qemu start(Path folder, List<String> arguments, Plug... plugs) throws IOException {
    return start(folder, arguments, List.of(plugs));
  }

  /** Starts one with the device that somebody serves at a socket, at the first slot. */
  public static Qemu plugged(Path folder, Path socket) throws IOException {
    String device = Plug.argument(socket, PciFunction.FIRST_SLOT);
    return start(folder, List.of("-device", device), List.of());
  }

  /** The same, which waits so long for an answer. */
  public static Qemu plugged(Path folder, Path socket, Duration patience) throws IOException {
    String device = Plug.argument(socket, PciFunction.FIRST_SLOT);
    String patient = "\"x-msg-timeout\":%d}".formatted(patience.toMillis());
    return start(
        folder,
        List.of("-device", device.substring(0, device.length() - 1) + "," + patient),
        List.of());
  }

  private static Qemu start(Path folder, List<String> arguments, List<Plug> plugs)
      throws IOException {
    Path qemu = path();
    Path qtest = Files.createTempFile(folder, "q", "");
    Path qmp = Files.createTempFile(folder, "m", "");
    Path log = Files.createTempFile(folder, "qemu", ".log");
    List<String> command = new ArrayList<>(List.of(qemu.toString(), "-accel", "qtest"));
    command.addAll(List.of("-qtest", "unix:" + qtest, "-qmp", "unix:" + qmp));
    command.addAll(List.of("-machine", "q35,memory-backend=mem", "-m", MEMORY_MIB + "M"));
    command.add("-object");
    command.add("memory-backend-memfd,id=mem,size=%dM,share=on".formatted(MEMORY_MIB));
    command.addAll(List.of("-nodefaults", "-display", "none", "-qtest-log", "none"));
    command.addAll(arguments);
    int slot = PciFunction.FIRST_SLOT;
    for (Plug plug : plugs) {
      command.add("-device");
      command.add(plug.argument(slot++));
    }
    // QEMU connects to us, so that it is ready when it has.
    try (ServerSocketChannel first = listen(qtest);
        ServerSocketChannel second = listen(qmp)) {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      // One that ends early ends our waiting.
      var _ =
          process
              .onExit()
              .thenRun(
                  () -> {
                    quietly(first);
                    quietly(second);
                  });
      return new Qemu(process, log, first, second);
    }
  }

  /** The program; where there is none the test that asks is skipped. */
  public static Path path() throws IOException {
    String given = System.getProperty("vfio4j.qemu");
    if (given != null && !given.isEmpty()) {
      return Path.of(given).toAbsolutePath();
    }
    Path bench = Path.of("..", "vm-bench").toAbsolutePath().normalize();
    String cache = System.getenv("XDG_CACHE_HOME");
    Path root = cache == null ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(cache);
    Path made = root.resolve("vfio4j/qemu/qemu/made-by");
    boolean fetched = Files.exists(made) && Files.mismatch(made, bench.resolve("fetch")) == -1;
    Assumptions.assumeTrue(
        fetched, "no QEMU 11.1: vm-bench/qemu --fetch brings it, -Dvfio4j.qemu=PATH names another");
    return bench.resolve("qemu");
  }

  private static ServerSocketChannel listen(Path path) throws IOException {
    Files.delete(path);
    return ServerSocketChannel.open(StandardProtocolFamily.UNIX)
        .bind(UnixDomainSocketAddress.of(path));
  }

  private static void quietly(AutoCloseable channel) {
    try {
      channel.close();
    } catch (Exception _) {
      // Nobody waits there any more.
    }
  }

  private SocketChannel accept(ServerSocketChannel channel) throws IOException {
    try {
      return channel.accept();
    } catch (IOException e) {
      throw new IOException("QEMU did not start: " + Files.readString(log), e);
    }
  }

  /** Sends a command of QEMU's monitor that takes no arguments. */
  public void monitor(String command) throws IOException {
    String line = "{\"execute\": \"%s\"}%n".formatted(command);
    ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      monitor.write(bytes);
    }
  }

  /** Until the monitor says something that contains {@code text}. */
  public void awaitMonitor(String text) throws IOException {
    String line;
    do {
      line = heard();
    } while (!line.contains(text));
  }

  private String heard() throws IOException {
    String line = null;
    try {
      line = monitorIn.readLine();
    } catch (SocketException _) {
      // As one that has gone without reading what it was told.
    }
    if (line == null) {
      throw new IOException("QEMU has gone: " + Files.readString(log));
    }
    return line;
  }

  /** As the machine's button does; everything is reset when this returns. */
  public void systemReset() throws IOException {
    monitor("system_reset");
    awaitMonitor("\"RESET\"");
  }

  /** Ends as QEMU does by itself, and waits for that; its exit code. */
  int quit() throws IOException, InterruptedException {
    monitor("quit");
    return ended();
  }

  /** kill -9. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    ended();
  }

  private int ended() throws InterruptedException {
    if (!process.waitFor(Qtest.SOON.toSeconds(), TimeUnit.SECONDS)) {
      throw new AssertionError("QEMU does not end");
    }
    return process.exitValue();
  }

  /** Whether it has not ended. */
  public boolean alive() {
    return process.isAlive();
  }

  /** What it has printed. */
  public String log() throws IOException {
    return Files.readString(log);
  }

  @Override
  public void close() throws IOException {
    process.destroyForcibly();
    // Until it has gone its sockets are open, and so is what our server holds for it.
    process.onExit().join();
    qtest.close();
    monitor.close();
  }
}
