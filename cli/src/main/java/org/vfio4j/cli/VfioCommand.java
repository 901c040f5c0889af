// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command without a subcommand: it explains itself. */
@Command(
    name = "vfio",
    mixinStandardHelpOptions = true,
    versionProvider = ProgramVersion.class,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "",
      "Says which device assignments VFIO will accept, which it will refuse, why, and what to"
          + " change: for this machine, or for another from a capture of it.",
      ""
    },
    optionListHeading = "%nOptions%n",
    commandListHeading = "%nCommands%n",
    footer = {
      "",
      "Try",
      "  vfio host                        what this machine has, and what shares a group",
      "  vfio check vms.yaml              whether these VMs can have these devices",
      "  vfio bind 0000:01:00.0           a device of this machine to VFIO; 'release' undoes it",
      "  vfio capture -o here.json        this machine as a file, to be read elsewhere",
      "  vfio host here.json --svg a.svg  a picture of it",
      "  vfio explain EBUSY               what an errno can mean",
      "  vfio serve ioat --socket PATH    a PCI device in Java, plugged into QEMU",
      "  vfio up vms.yaml                 these devices to these VMs, over sockets",
      "  vfio daemon; vfio up -d vms.yaml the same by a service, which 'vfio ps' looks at",
      "  vfio COMMAND --help              more, with examples",
      "",
      "Exit status: 0 yes or done, 1 refused or nothing known, 2 bad input,",
      "74 the answer could not be written, 70 a mistake of this program.",
      "Every command but 'completion' takes --json; what is wrong is then an object as well,",
      "with its 'error' and 'status', in one line."
    })
final class VfioCommand implements Callable<Integer> {

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "Show the stack trace of an unexpected failure, as VFIO_DEBUG=1 does.")
  private boolean verbose;

  @Option(names = "--json", hidden = true, description = "An option of the commands.")
  private boolean json;

  VfioCommand(Console console) {
    this.console = console;
  }

  /** The subcommands, in the order in which the help lists them. */
  List<Object> subcommands() {
    return List.of(
        new HostCommand(console),
        new CheckCommand(console),
        new CaptureCommand(console),
        new BindCommand(console, LocalDevices::ofThisMachine),
        new ReleaseCommand(console, LocalDevices::ofThisMachine),
        new DefineCommand(console),
        new UndefineCommand(console),
        new ReplayCommand(console),
        new ExplainCommand(console),
        new ServeCommand(console),
        new UpCommand(console),
        new DaemonCommand(console),
        new PsCommand(console),
        new DownCommand(console),
        new AttachCommand(console),
        new DetachCommand(console),
        new EventsCommand(console),
        new KeepCommand(console),
        new BinderCommand(console, System.in, LocalDevices::ofThisMachine, Path.of("/dev/vfio")),
        new CompletionCommand(console),
        new CommandLine.HelpCommand());
  }

  boolean verbose() {
    return verbose;
  }

  @Override
  public Integer call() {
    if (json) {
      throw new ParameterException(spec.commandLine(), "no command named");
    }
    spec.commandLine().usage(console.err().raw());
    return Main.BAD_INPUT;
  }
}
