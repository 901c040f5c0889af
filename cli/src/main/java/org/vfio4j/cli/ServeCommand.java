// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.assign.BuiltIn;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.device.ServedDevice;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio serve}: a device for VMs, at a socket. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    description = {
      "Serves a PCI device that this program implements, for QEMU 10.1 or newer to plug in.",
      "It needs no hardware and no privilege. One client at a time; who comes meanwhile waits until"
          + " it leaves. Ctrl-C ends it and removes the socket.",
      "DEVICE is 'ioat', Intel's DMA engine, for which Linux has the driver ioatdma, or 'edu',"
          + " QEMU's educational device."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio serve ioat --socket /tmp/ioat.sock",
      "  vfio serve edu --socket /run/vfio/edu.sock --group kvm"
    })
final class ServeCommand implements Callable<Integer> {

  /** Of a file's mode, as stat(2) has it. */
  private static final int FILE_TYPE = 0xf000;

  private static final int SOCKET = 0xc000;

  private static final int EACCES = 13;

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "DEVICE", description = "ioat or edu.")
  private BuiltIn model = BuiltIn.IOAT;

  @Option(
      names = "--socket",
      paramLabel = "PATH",
      required = true,
      description = "Where clients connect. A socket that nobody listens on is replaced.")
  private Path socket = Path.of("");

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      description = "Permissions of the socket, in octal. Default: 600, and 660 with --group.")
  private Optional<String> mode = Optional.empty();

  @Option(
      names = "--group",
      paramLabel = "GROUP",
      description = "The group that the socket belongs to, whose members may connect.")
  private Optional<String> group = Optional.empty();

  @Option(names = "--json", description = "Print each event as JSON, one a line.")
  private boolean json;

  ServeCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (socket.toString().startsWith("@")) {
      throw bad("--socket " + socket + ": an abstract socket has no permissions; give a path");
    }
    Path path = socket.toAbsolutePath().normalize();
    ServeEvents events = new ServeEvents(console, json, model.word());
    Server.Builder builder = access().apply(Server.at(path).events(events.clients()));
    EmulatedDevice device = OwnDevices.create(model);
    try (GivenBack all = GivenBack.atTheEnd("vfio-serve-end")) {
      Optional<Server> server = all.take(() -> start(builder, device, path));
      if (server.isPresent()) {
        events.serving(device.name(), path);
        // Nobody could learn that it serves.
        if (console.lost().isEmpty()) {
          server.get().join();
        }
      }
    } catch (InterruptedException _) {
      // Whoever runs this command within his process wants it to end.
    }
    return Main.OK;
  }

  /** Serves a device, or says in words why there is no socket. */
  static Server start(Server.Builder builder, ServedDevice device, Path path) {
    try {
      return builder.start(device);
    } catch (SystemCallException e) {
      throw new BadInputException(path.toString(), 0, "", noSocket(e, path));
    } catch (UncheckedIOException e) {
      throw new BadInputException(
          path.toString(), 0, "", "no socket can be made there: " + e.getMessage());
    } catch (IllegalArgumentException e) {
      throw new BadInputException(path.toString(), 0, "", String.valueOf(e.getMessage()));
    }
  }

  private static String noSocket(SystemCallException e, Path path) {
    return switch (e.errno()) {
      case ErrnoNames.EADDRINUSE ->
          Files.exists(path) && !isSocket(path)
              ? "is there already, and is no socket"
              : "somebody serves there already: choose another path, or end that process";
      case ErrnoNames.ENOENT -> "no such folder: " + path.getParent();
      case EACCES -> "permission denied: its folder may not be written";
      default -> "no socket can be made there: " + e.getMessage();
    };
  }

  private static boolean isSocket(Path path) {
    try {
      return ((Integer) Files.getAttribute(path, "unix:mode") & FILE_TYPE) == SOCKET;
    } catch (IOException _) {
      // It has gone since.
      return true;
    }
  }

  private SocketAccess access() throws IOException {
    try {
      return SocketAccess.of(Optional.empty(), group, mode);
    } catch (SocketAccess.UnknownException e) {
      throw bad(String.valueOf(e.getMessage()));
    }
  }

  private ParameterException bad(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
