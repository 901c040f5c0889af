// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.assign.HostMachine;
import org.vfio4j.host.HostTopology;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.OpScript;
import org.vfio4j.replay.Replay;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.replay.kernel.KernelEnvironment;
import org.vfio4j.replay.kernel.KernelVfio;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio replay}: a script of VFIO operations on a machine in software, or on this one. */
@Command(
    name = "replay",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a script of VFIO operations, one a line, and prints what each is answered.",
      "It runs on an embedded IOMMU with the devices of the capture; the real ones are not"
          + " touched.",
      "With --on kernel the running kernel answers, on this machine's devices, which are touched."
    },
    sortOptions = false,
    footerHeading = "%nExample%n",
    footer = {
      "  vfio replay attach.vt --host examples/hosts/qemu-q35.json --kernel 6.12",
      "where attach.vt is",
      "  case a container of one group",
      "  c = cont",
      "  g = grp 0000:00:02.0",
      "  setcont $$g $$c",
      "  setiommu $$c 3"
    })
final class ReplayCommand implements Callable<Integer> {

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "SCRIPT", description = "The script.")
  private Path script = Path.of("");

  @Option(
      names = "--host",
      paramLabel = "SOURCE",
      description = "The machine: a capture, or what else 'vfio host' reads. Needed with 'soft'.")
  private Optional<Path> host = Optional.empty();

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "Which host, where the source holds several.")
  private Optional<String> name = Optional.empty();

  @Mixin private KernelChoice kernel = new KernelChoice();

  @Option(
      names = "--on",
      paramLabel = "BACKEND",
      description =
          "'soft', the embedded IOMMU, is the default; 'kernel' is this machine, as root.")
  private Backend backend = Backend.SOFT;

  @Option(names = "--json", description = "Print the answers as a JSON list.")
  private boolean json;

  /** What a script can run on. */
  enum Backend {
    SOFT,
    KERNEL
  }

  ReplayCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    KernelProfile profile = kernel.profile();
    String source = script.toString();
    OpScript parsed = OpScript.parse(source, InputFile.text(script, "script"));
    ReplayAnswers answers = new ReplayAnswers(parsed);
    try (Environment environment = environment(profile)) {
      new Replay(source, parsed, environment, json ? answers : console.out()::println).run();
    }
    if (json) {
      Json.print(console, answers::write);
    }
    return Main.OK;
  }

  private Environment environment(KernelProfile profile) throws IOException {
    if (backend == Backend.SOFT) {
      Path source =
          host.orElseThrow(
              () ->
                  new ParameterException(
                      spec.commandLine(), "Missing required option: '--host=SOURCE'"));
      HostTopology machine = HostChoice.read(source, name);
      return new SoftEnvironment(HostMachine.of(machine, profile), "script");
    }
    if (host.isPresent() || name.isPresent()) {
      throw new ParameterException(
          spec.commandLine(), "--on kernel runs on this machine: leave out --host and --name");
    }
    Optional<String> missing = KernelVfio.missing();
    if (missing.isPresent()) {
      throw new ParameterException(
          spec.commandLine(), "--on kernel cannot run here: " + missing.get());
    }
    return new KernelEnvironment(SystemCalls.libc());
  }
}
