// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.vfio4j.api.ApiServer;
import org.vfio4j.broker.Broker;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.linux.bind.KernelMdevs;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.PathLock;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code vfio daemon}: serves the VMs of a host, which come and go. */
@Command(
    name = "daemon",
    mixinStandardHelpOptions = true,
    description = {
      "Serves devices to the VMs of this host, one daemon for all of them: 'vfio up -d' hands it"
          + " files, 'vfio ps' shows what it has, 'vfio down', 'attach' and 'detach' change that,"
          + " 'vfio events' tells what happens. They ask over HTTP and JSON at its socket.",
      "What was handed over is written down, and served again after a boot, each VM by itself."
          + " Started by systemd, or by 'vfio keep', it may be killed, restarted and upgraded under"
          + " running VMs. Ctrl-C gives all devices back, and forgets no VM."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio keep -- vfio daemon --group vfio",
      "  vfio up -d vms.yaml && vfio ps",
      "  curl --unix-socket /run/vfio4j/daemon.sock http://localhost/v1/vms",
      "",
      "Exit status: 0 ended, 1 refused, 2 bad input."
    })
final class DaemonCommand implements Callable<Integer> {
  private static final int MOST_SECONDS = 3600;
  private static final String MARK = "daemon";

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--folder",
      paramLabel = "DIR",
      description = {
        "Where the sockets are: daemon.sock, and a folder for each VM. Default: what systemd has"
            + " made, /run/vfio4j for root, vfio4j in $XDG_RUNTIME_DIR for others."
      })
  private Optional<Path> folder = Optional.empty();

  @Option(
      names = "--state",
      paramLabel = "DIR",
      description = {
        "Where it is written down what is served. Default: what systemd has made, /var/lib/vfio4j"
            + " for root, vfio4j in $XDG_STATE_HOME or ~/.local/state for others."
      })
  private Optional<Path> state = Optional.empty();

  @Option(
      names = "--group",
      paramLabel = "GROUP",
      description = "The group whose members may ask it for everything. Default: its own.")
  private Optional<String> group = Optional.empty();

  @Option(
      names = "--unplug-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "How long a guest may take to let go of a device. Default: ${DEFAULT-VALUE}.")
  private int unplugging = 30;

  @Option(names = "--json", description = "Print each event as JSON, one a line.")
  private boolean json;

  DaemonCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    DaemonPlaces places = DaemonPlaces.ofThisProcess();
    Path base =
        folder
            .or(places::sockets)
            .orElseThrow(
                () -> bad("--folder: say where the sockets are to be: there is no XDG_RUNTIME_DIR"))
            .toAbsolutePath()
            .normalize();
    if (unplugging < 1 || unplugging > MOST_SECONDS) {
      throw bad("--unplug-timeout %d: 1 to %d seconds".formatted(unplugging, MOST_SECONDS));
    }
    Path written = state.orElseGet(places::state).toAbsolutePath().normalize();
    SocketAccess access = access();
    Outliving outliving = Outliving.ofThisProcess();
    EventFeed feed = new EventFeed();
    EventLines lines = new EventLines(console, json).and(feed);
    UpReport report = new UpReport(lines, false);
    try (GivenBack all = GivenBack.atTheEnd("vfio-daemon-end")) {
      WantedVms wanted = WantedVms.in(written);
      all.take(() -> alone(written.resolve("vms")));
      VmFolder.base("the daemon", base);
      Path socket = DaemonPlaces.socket(base);
      all.take(() -> alone(socket));
      // Whoever keeps descriptors starts the next as long as there is one.
      all.take(() -> outliving.text(MARK).orElseGet(() -> outliving.write(MARK, base.toString())));
      Broker broker = UpCommand.broker(report, outliving.kept());
      all.take(() -> broker);
      Daemon daemon =
          new Daemon(
              new Hosting(
                  base,
                  broker,
                  wanted,
                  lines,
                  outliving,
                  Binder::ofThisMachine,
                  KernelMdevs.ofThisMachine()));
      all.take(() -> daemon);
      daemon.start(report);
      DaemonCalls calls =
          new DaemonCalls(daemon, lines, feed, new HotPlug(Duration.ofSeconds(unplugging)));
      all.take(() -> answer(socket, access, calls));
      outliving.ready();
      report.answering(socket, outliving.kept().lasts());
      new CountDownLatch(1).await();
    } catch (InterruptedException _) {
      // Whoever runs this command within his process wants it to end.
    }
    return Main.OK;
  }

  private SocketAccess access() throws IOException {
    try {
      return SocketAccess.of(Optional.empty(), group, Optional.of("660"));
    } catch (SocketAccess.UnknownException e) {
      throw bad("--group: " + e.getMessage());
    }
  }

  private static ApiServer answer(Path socket, SocketAccess access, DaemonCalls calls) {
    try {
      ApiServer server =
          ApiServer.start(socket, PosixFilePermissions.fromString("rw-------"), calls::answer);
      if (access.group().isPresent()) {
        Files.getFileAttributeView(socket, PosixFileAttributeView.class)
            .setGroup(access.group().get());
      }
      Files.setPosixFilePermissions(socket, access.permissions());
      return server;
    } catch (IOException e) {
      throw new BadInputException(
          socket.toString(), 0, "", "no socket can be made there: " + OutputFile.reason(e));
    }
  }

  /** One daemon at a time. */
  private static PathLock alone(Path path) {
    try {
      return PathLock.take(SystemCalls.libc(), path);
    } catch (SystemCallException e) {
      if (e.errno() != ErrnoNames.EADDRINUSE) {
        throw new BadInputException(path.toString(), 0, "", String.valueOf(e.getMessage()));
      }
      throw new RefusedException(
          "a daemon is there already: process %d has %s"
              .formatted(PathLock.holder(path).orElse(0), path));
    }
  }

  private ParameterException bad(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
