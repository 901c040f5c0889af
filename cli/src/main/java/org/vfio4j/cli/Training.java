// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.NotifyListener;
import org.vfio4j.posix.NotifySocket;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.user.Client;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.device.ServedDevice;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;
import org.vfio4j.user.wire.DeviceInfo;
import org.vfio4j.user.wire.DmaMap;
import org.vfio4j.user.wire.SetIrqs;

/**
 * The usual commands one after the other, for the JVM to see which classes they need. The launcher
 * runs it once after a build; what it prints goes nowhere.
 */
final class Training {
  private static final int PAGE = 4096;

  private Training() {}

  /** Takes the folder with the examples. */
  public static void main(String[] arguments) throws IOException {
    Path examples = Path.of(arguments[0]);
    String server = examples.resolve("hosts/vgpu-server.json").toString();
    String q35 = examples.resolve("hosts/qemu-q35.json").toString();
    String script = script().toString();
    String tour = examples.resolve("tour.yaml").toString();
    String[][] commands = {
      {"--version"},
      {"--help"},
      {"host", server},
      {"host", server, "--json"},
      {"host", server, "--svg", "-"},
      {"capture", server},
      {"replay", script, "--host", q35},
      {"replay", script, "--host", q35, "--json"},
      {"explain", "EBUSY"},
      {"explain", "group 1 is not viable", "--json"},
      {"check", tour},
      {"check", tour, "--json"},
      {"check", tour, "--svg", "-"},
      {"check", "--nothing"},
      {"completion"},
    };
    try (PrintStream stream =
            new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        Screen nowhere = new Screen(stream)) {
      for (int width : new int[] {Console.DEFAULT_WIDTH, Console.MIN_WIDTH}) {
        for (String[] command : commands) {
          Main.run(new Console(nowhere, nowhere, width, true, true, false), command);
        }
      }
    }
    Console.ofProcess();
    serve();
    outlive();
  }

  /** A device is served, and a client does with it what a VMM does before it runs. */
  private static void serve() throws IOException {
    Path folder = Files.createTempDirectory("vfio");
    Path socket = folder.resolve("socket");
    SystemCalls calls = SystemCalls.libc();
    try (Server _ = Server.at(socket).start(Ioat.create());
        Client client = Client.connect(socket);
        Descriptor memory = Memfd.sealed(calls, "memory", PAGE);
        EventFd eventFd = EventFd.create(calls)) {
      DeviceInfo info = client.info();
      for (int region = 0; region < info.regions(); region++) {
        client.region(region).close();
      }
      for (int index = 0; index < info.irqs(); index++) {
        client.irq(index);
      }
      client.map(0, PAGE, DmaMap.READ | DmaMap.WRITE, memory, 0);
      client.setIrqs(SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, Pci.MSIX, 0, 1), eventFd);
      client.write32(0, 0, client.read32(0, 0));
      client.unmap(0, PAGE);
      client.reset();
    } finally {
      Files.deleteIfExists(folder);
    }
  }

  /** As {@code up} serves under {@code keep}: a VM waits while the next process starts. */
  private static void outlive() throws IOException {
    Path folder = Files.createTempDirectory("vfio");
    Path request = folder.resolve("vms.yaml");
    Files.writeString(request, "vms: {box: {devices: [{device: edu}]}}");
    Path sockets = folder.resolve("s");
    Path notify = folder.resolve("notify");
    SystemCalls calls = SystemCalls.libc();
    Map<String, String> environment =
        Map.of(NotifySocket.NOTIFY_SOCKET, notify.toString(), NotifySocket.FDSTORE, "100");
    try (PrintStream stream =
            new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
        Screen nowhere = new Screen(stream);
        NotifyListener store = NotifyListener.at(calls, notify);
        NotifySocket socket = NotifySocket.of(calls, environment).orElseThrow()) {
      Thread.ofPlatform().daemon().start(store::run);
      KeptDescriptors kept = new KeptDescriptors(socket, Map.of());
      Path alone = folder.resolve("socket");
      ServedDevice lasting = Edu.create().lasting(calls, kept, "x");
      try (Server _ = Server.at(alone).kept(kept, "x").start(lasting)) {
        use(alone);
      }
      Console console = new Console(nowhere, nowhere, Console.DEFAULT_WIDTH, false, false, false);
      Thread serving =
          Thread.ofPlatform()
              .start(
                  () ->
                      Main.run(console, "up", request.toString(), "--folder", sockets.toString()));
      Path served = sockets.resolve("box/edu.sock");
      while (serving.isAlive() && !Files.exists(served)) {
        Thread.onSpinWait();
      }
      use(served);
      serving.interrupt();
      serving.join();
    } catch (InterruptedException e) {
      throw new InterruptedIOException(e.getMessage());
    } finally {
      Files.deleteIfExists(sockets);
      Files.deleteIfExists(request);
      Files.deleteIfExists(folder);
    }
  }

  private static void use(Path socket) {
    try (Client client = Client.connect(socket)) {
      client.info();
      client.write32(0, 4, client.read32(0, 4));
    }
  }

  private static Path script() throws IOException {
    Path script = Files.createTempFile("vfio", ".vt");
    script.toFile().deleteOnExit();
    return Files.writeString(
        script,
        """
        case training
        c = cont
        g = grp 0000:00:02.0
        setcont $g $c
        setiommu $c 3
        map $c buf 0 0x1000
        d = devfd $g 0000:00:02.0
        unmap $c 0 0x1000
        """);
  }
}
