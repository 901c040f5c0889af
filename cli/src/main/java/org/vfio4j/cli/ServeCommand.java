// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.user.Server;
import org.vfio4j.user.device.EmulatedDevice;
import org.vfio4j.user.devices.Edu;
import org.vfio4j.user.devices.Ioat;
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
  private Model model = Model.IOAT;

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

  /** What can be served. */
  enum Model {
    IOAT(Ioat::create),
    EDU(Edu::create);

    private final Supplier<EmulatedDevice> factory;

    Model(Supplier<EmulatedDevice> factory) {
      this.factory = factory;
    }

    /** The name on the command line. */
    String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

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
    Server.Builder builder = Server.at(path).permissions(permissions()).events(events);
    if (group.isPresent()) {
      builder.group(principal(group.get()));
    }
    EmulatedDevice device = model.factory.get();
    try (GivenBack all = GivenBack.atTheEnd("vfio-serve-end")) {
      Optional<Server> server = all.take(() -> start(builder, device, path));
      if (server.isPresent()) {
        events.serving(device.name(), path);
        server.get().join();
      }
    } catch (InterruptedException _) {
      // Whoever runs this command within his process wants it to end.
    }
    return Main.OK;
  }

  private static Server start(Server.Builder builder, EmulatedDevice device, Path path) {
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

  private Set<PosixFilePermission> permissions() {
    String octal = mode.orElse(group.isPresent() ? "660" : "600");
    if (!octal.matches("0?[0-7]{3}")) {
      throw bad("Mode '%s': three octal digits, as in 660".formatted(octal));
    }
    int bits = Integer.parseInt(octal, 8);
    PosixFilePermission[] all = PosixFilePermission.values();
    Set<PosixFilePermission> set = EnumSet.noneOf(PosixFilePermission.class);
    for (int n = 0; n < all.length; n++) {
      if ((bits >> (all.length - 1 - n) & 1) != 0) {
        set.add(all[n]);
      }
    }
    return set;
  }

  private GroupPrincipal principal(String name) throws IOException {
    try {
      return socket
          .getFileSystem()
          .getUserPrincipalLookupService()
          .lookupPrincipalByGroupName(name);
    } catch (UserPrincipalNotFoundException _) {
      throw bad("No group '%s' on this machine".formatted(name));
    }
  }

  private ParameterException bad(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
