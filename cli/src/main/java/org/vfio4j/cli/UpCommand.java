// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.assign.Sizes;
import org.vfio4j.assign.Verdict;
import org.vfio4j.broker.Broker;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.KernelMdevs;
import org.vfio4j.linux.device.LockedMemory;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.linux.iommu.LinuxIommu;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio up}: devices for VMs, at sockets, as long as it runs. */
@Command(
    name = "up",
    mixinStandardHelpOptions = true,
    description = {
      "Checks what the VMs of a file ask for, takes it, and serves it to unprivileged QEMUs (10.1"
          + " or newer) at a socket for each device: functions of this machine, whole or wrapped,"
          + " and devices of ours. QEMU opens nothing in /dev/vfio. Prints what to give QEMU, and"
          + " who comes and goes. Ctrl-C gives everything back.",
      "Where the file's host is a capture, devices of ours stand in for its devices, and nothing of"
          + " this machine is touched."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio up vms.yaml --dry-run          what 'vfio check' says",
      "  vfio up vms.yaml --bind             take the devices from their drivers, and give them"
          + " back",
      "  vfio up vms.yaml --as libvirt       what to put into domain XML",
      "Besides what 'vfio check' reads, a VM of the file may have",
      "  user: alice          # who runs its QEMU; the sockets are that user's",
      "  group: kvm           # who may connect besides; and mode: 660",
      "  timeout: 80s         # how long its QEMU waits (x-msg-timeout), where it cannot be seen",
      "  shared: true         # its memory is shared with its devices, where it cannot be seen",
      "  mmap: none           # no descriptors of its devices: every access is a message",
      "  devices:",
      "    - device: edu      # a device of ours; or: ioat",
      "    - {device: 0000:01:00.0, mmap: none, reset: none}",
      "",
      "Exit status: 0 ended, 1 refused, 2 bad input, 74 the answer could not be written."
    })
final class UpCommand implements Callable<Integer> {
  /**
   * Names under which texts are kept: what was asked for, which functions by UUID, whose drivers
   * are given back, and what was started.
   */
  private static final String REQUEST = "request";

  private static final String WRAPPED = "wrapped";
  private static final String BOUND = "bound";
  private static final String STARTED = "started";

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "FILE",
      description = "Which VM gets which devices, as 'vfio check' reads it.")
  private Path file = Path.of("");

  @Mixin private AssignmentChoice choice = new AssignmentChoice();

  @Option(
      names = {"-d", "--daemon"},
      description = {
        "Hand the file to the daemon of this host ('vfio daemon'), which serves it from now on and"
            + " after a boot: all of its VMs or none."
      })
  private boolean daemon;

  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description = "Where that daemon answers, if not where 'vfio ps' asks.")
  private Optional<Path> socket = Optional.empty();

  @Option(names = "--dry-run", description = "Only say what 'vfio check' says.")
  private boolean dryRun;

  @Option(
      names = "--bind",
      description = "Bind the functions to vfio-pci first, and give them back at the end.")
  private boolean bind;

  @Option(
      names = "--folder",
      paramLabel = "DIR",
      description = {
        "Where the sockets are, in a folder for each VM. Default: /run/vfio4j for root,"
            + " vfio4j in $XDG_RUNTIME_DIR for others."
      })
  private Optional<Path> folder = Optional.empty();

  /** For whom the arguments are printed. */
  enum Form {
    QEMU,
    LIBVIRT
  }

  @Option(
      names = "--as",
      paramLabel = "FORM",
      description = "What to print for each VM: qemu, its arguments; libvirt, for its domain XML.")
  private Form form = Form.QEMU;

  @Option(names = "--json", description = "Print each event as JSON, one a line.")
  private boolean json;

  UpCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    if (dryRun) {
      return judge(choice.read(List.of(file)).besideWhatRuns());
    }
    if (daemon) {
      return handOver();
    }
    Outliving outliving = Outliving.ofThisProcess();
    Optional<Outliving.Text> before = outliving.text(REQUEST);
    String text = before.isPresent() ? before.get().text() : InputFile.text(file, "request");
    Optional<Outliving.Text> wrapped = outliving.text(WRAPPED);
    AskedAssignment asked = choice.read(file, text, wrapped.map(UpCommand::read).orElse(Map.of()));
    if (bind && !asked.live()) {
      throw bad("--bind: the host of %s is not this machine".formatted(file));
    }
    if (before.isEmpty()) {
      Verdict verdict = choice.verdict(console, asked, false);
      if (!verdict.admitted()) {
        AssignmentChoice.print(console, json, verdict, asked);
        return AssignmentChoice.status(verdict);
      }
    }
    List<PluggedVm> vms = PluggedVm.of(asked, base());
    if (before.isEmpty()) {
      checkLockedMemory(vms, LockedMemory.ofThisProcess().bytes());
    }
    EventLines lines = new EventLines(console, json);
    UpReport report = new UpReport(lines, form == Form.LIBVIRT);
    boolean real = vms.stream().anyMatch(PluggedVm::isReal);
    // Before anything is taken: one that cannot read what was left touches nothing of it.
    Optional<Broker> broker =
        real ? Optional.of(broker(report, outliving.kept())) : Optional.empty();
    try (GivenBack all = GivenBack.atTheEnd("vfio-up-end")) {
      all.take(() -> before.orElseGet(() -> outliving.write(REQUEST, text)));
      if (!asked.wrapped().isEmpty()) {
        all.take(() -> wrapped.orElseGet(() -> outliving.write(WRAPPED, write(asked.wrapped()))));
      }
      broker.ifPresent(b -> all.take(() -> b));
      List<ServedVm> served = new ArrayList<>();
      for (PluggedVm vm : vms) {
        served.add(
            new ServedVm(
                vm,
                asked.request().source(),
                broker,
                all,
                lines,
                outliving.kept(),
                outliving.resumed()));
      }
      serve(asked, served, all, report, outliving, broker);
      // Nobody could learn what to give QEMU. Who stops reading later does not end the VMs.
      if (outliving.resumed() || console.lost().isEmpty()) {
        for (ServedVm vm : served) {
          vm.join();
        }
      }
    } catch (InterruptedException _) {
      // Whoever runs this command within his process wants it to end.
    }
    return Main.OK;
  }

  /**
   * A UUID may mean something else by the time at which a process after this one reads the file.
   */
  private static String write(Map<UUID, PciAddress> wrapped) {
    return wrapped.entrySet().stream()
        .map(e -> e.getKey() + " " + e.getValue())
        .collect(Collectors.joining("\n"));
  }

  private static Map<UUID, PciAddress> read(Outliving.Text text) {
    return text.text()
        .lines()
        .map(l -> l.split(" ", 2))
        .collect(Collectors.toMap(w -> UUID.fromString(w[0]), w -> PciAddress.parse(w[1])));
  }

  /** Has a daemon serve it. */
  private int handOver() throws IOException {
    Path source = file.toAbsolutePath().normalize();
    String text = InputFile.text(file, "request");
    String body =
        DaemonClient.object(
            g -> {
              Json.put(g, "source", source.toString());
              Json.put(g, "text", text);
              Json.put(g, "host", choice.absoluteHost());
              g.writeBooleanProperty("bind", bind);
              Json.put(g, "force", choice.forced());
              Json.put(g, "form", form.name().toLowerCase(Locale.ROOT));
            });
    return new DaemonClient(socket, json).ask(console, "POST", DaemonClient.path("vms"), body);
  }

  /** What {@code vfio check} says. */
  private int judge(AskedAssignment asked) {
    if (bind && !asked.live()) {
      throw bad("--bind: the host of %s is not this machine".formatted(file));
    }
    Verdict verdict = choice.verdict(console, asked, false);
    AssignmentChoice.print(console, json, verdict, asked);
    return AssignmentChoice.status(verdict);
  }

  /** A folder that nobody else can put anything into. */
  private Path base() {
    if (folder.isPresent()) {
      return folder.get().toAbsolutePath().normalize();
    }
    String runtime = System.getenv().getOrDefault("XDG_RUNTIME_DIR", "");
    boolean root = "root".equals(System.getProperty("user.name"));
    if (!root && runtime.isEmpty()) {
      throw bad("--folder: say where the sockets are to be: there is no XDG_RUNTIME_DIR");
    }
    return Path.of(root ? "/run" : runtime).resolve("vfio4j").toAbsolutePath();
  }

  /**
   * What all VMs may have pinned counts against the limit of this process.
   *
   * @param besides bytes that it has locked for others
   * @throws RefusedException if it is too much
   */
  static void checkLockedMemory(List<PluggedVm> vms, long besides) {
    long needed =
        vms.stream()
            .filter(PluggedVm::isReal)
            .flatMap(vm -> Stream.generate(vm.vm().memory()::orElseThrow).limit(vm.addressSpaces()))
            .reduce(0L, (sum, next) -> sum > Long.MAX_VALUE - next ? Long.MAX_VALUE : sum + next);
    LockedMemory locked = LockedMemory.ofThisProcess();
    OptionalLong limit = locked.limit();
    if (needed > 0 && limit.isPresent() && !locked.maySkipLimit()) {
      long left = limit.getAsLong() - besides;
      if (needed > left) {
        throw new RefusedException(
            ("%s of memory are to be pinned for the VMs, and this process may lock %s"
                    + " (RLIMIT_MEMLOCK): raise it with 'ulimit -l %d', or run as root")
                .formatted(Sizes.of(needed), Sizes.of(left), (needed >> 10) + 1));
      }
    }
  }

  private void serve(
      AskedAssignment asked,
      List<ServedVm> served,
      GivenBack all,
      UpReport report,
      Outliving outliving,
      Optional<Broker> broker) {
    List<PluggedVm> vms = served.stream().map(ServedVm::plugged).toList();
    served.forEach(ServedVm::folder);
    if (broker.isPresent()) {
      drivers(asked, vms, all, report, outliving);
    }
    KernelDevices.start(
        asked, KernelMdevs.ofThisMachine(), all, report, outliving.started(STARTED, all));
    served.forEach(ServedVm::prepare);
    report.resumed(broker.map(Broker::resume).orElse(List.of()));
    if (!outliving.resumed()) {
      served.forEach(vm -> vm.tryOut().forEach(report::held));
    }
    served.forEach(ServedVm::serve);
    outliving.kept().closeRest();
    vms.forEach(vm -> report.serving(vm, outliving.kept().lasts()));
    outliving.ready();
    report.ready(outliving.kept().lasts());
  }

  /**
   * A broker of this machine's functions, which goes on where another process has ended.
   *
   * @throws RefusedException if a later version has left what is kept
   */
  static Broker broker(UpReport report, KeptDescriptors kept) {
    try {
      Broker broker =
          kept.lasts()
              ? new Broker(
                  new LinuxIommu(SystemCalls.libc(), Sysfs.ofThisMachine(), kept),
                  Kernels.running(),
                  kept,
                  report::state)
              : Broker.ofThisMachine(report::state);
      broker.listen();
      return broker;
    } catch (IllegalStateException later) {
      throw new RefusedException(String.valueOf(later.getMessage()));
    }
  }

  /** Every function is on a driver of VFIO, or is put there. */
  private void drivers(
      AskedAssignment asked,
      List<PluggedVm> vms,
      GivenBack all,
      UpReport report,
      Outliving outliving) {
    Optional<Outliving.Text> bound = outliving.text(BOUND);
    if (bound.isPresent()) {
      Binder binder = Binder.ofThisMachine();
      List<String> functions = bound.get().text().lines().toList();
      all.take(bound::get);
      all.take(() -> BoundFunctions.again(binder, functions, forced(), report));
    }
    if (bound.isPresent() || (outliving.resumed() && !bind)) {
      // Whatever has become of one function, the VMs that have others go on.
      return;
    }
    List<Plug> plugs = vms.stream().flatMap(vm -> vm.plugs().stream()).toList();
    FunctionDrivers drivers = FunctionDrivers.of(asked.host(), plugs);
    if (!bind) {
      drivers.require();
      return;
    }
    Binder binder = Binder.ofThisMachine();
    // Written down before: who comes after a death in between gives them back.
    all.take(() -> outliving.write(BOUND, String.join("\n", drivers.others())));
    all.take(() -> BoundFunctions.bind(binder, drivers.names(), forced(), report));
  }

  private List<String> forced() {
    return choice.forced().stream().map(PciAddress::toString).toList();
  }

  private ParameterException bad(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
