// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VerdictJson;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio check}: the answer before the failure. */
@Command(
    name = "check",
    mixinStandardHelpOptions = true,
    description = {
      "Says what will happen when the VMs of a file start with the devices it gives them: which are"
          + " attached, which are refused, by which call, with which errno, who stands in the way,"
          + " and what to change.",
      "Nothing on this machine is changed."
    },
    sortOptions = false,
    footerHeading = "%nExample%n",
    footer = {
      "  vfio check vms.yaml",
      "where vms.yaml is",
      "  host: server.json               # a capture, relative to this file; or: linux",
      "  vms:",
      "    web:",
      "      memory: 4GiB                # optional; so are memlock and viommu",
      "      devices:",
      "        - 0000:01:00.0            # the whole function",
      "        - wrap: 0000:01:00.1      # behind a mediated device that it backs",
      "        - mdev: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
      "        - aux: 0000:6a:01.0       # an aux domain of a parent",
      "        - emulated: 0000:3b:00.0  # a mediated device that its driver isolates",
      "  running:                        # optional: what has devices of the host already",
      "    db: {holds: [12, 0000:02:00.0]}   # groups by number, devices by address",
      "  drivers: {0000:01:00.1: none}   # optional: bound since, or to be bound before",
      "",
      "Exit status: 0 admitted, 1 refused, 2 bad input."
    })
final class CheckCommand implements Callable<Integer> {
  private static final String THIS_MACHINE = "linux";

  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "FILE", description = "Which VM gets which devices, as YAML.")
  private Path file = Path.of("");

  @Mixin private KernelChoice kernel = new KernelChoice();

  @Option(
      names = "--strict",
      description = {"Refuse what rests on facts the source does not say, and what no Linux does."})
  private boolean strict;

  @Option(
      names = "--force",
      paramLabel = "ADDRESS",
      description = {
        "Let this function be taken although it carries a disk, a network or the console of the"
            + " host. May be repeated."
      })
  private List<String> forced = List.of();

  @Option(names = "--json", description = "Print the verdict as JSON.")
  private boolean json;

  CheckCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    Options options = kernel.options(Options.DEFAULT.strictly(strict).forcing(forcedAddresses()));
    Request request = RequestReader.read(file.toString(), InputFile.text(file, "request"));
    HostTopology host = host(request.host());
    if (request.host().equals(THIS_MACHINE) && request.running().isEmpty()) {
      request = request.beside(RunningVms.of(Path.of("/")));
    }
    Verdict verdict;
    try (ProgressLine progress = ProgressLine.of(console)) {
      verdict = Check.verdict(request, host, options, progress);
    }
    if (json) {
      Json.print(console, g -> VerdictJson.write(g, verdict));
    } else {
      new CheckRendering(console).print(verdict, host.name(), request.running().size());
    }
    if (verdict.badInput()) {
      return Main.BAD_INPUT;
    }
    return verdict.admitted() ? Main.OK : Main.REFUSED;
  }

  private Set<String> forcedAddresses() {
    Set<String> addresses = new HashSet<>();
    for (String text : forced) {
      addresses.add(
          PciAddress.tryParse(text)
              .orElseThrow(
                  () ->
                      new ParameterException(
                          spec.commandLine(), "Not a PCI address: '%s'".formatted(text)))
              .toString());
    }
    return addresses;
  }

  /** A file may have a '#' in its name. */
  private boolean exists(String reference) {
    try {
      return Files.exists(file.resolveSibling(reference));
    } catch (InvalidPathException _) {
      return false;
    }
  }

  /** What the request names: a path relative to it, with {@code #name} for one host of several. */
  private HostTopology host(String reference) {
    if (reference.equals(THIS_MACHINE)) {
      LocalDevices.requireIommu();
      return HostSource.live();
    }
    int hash = exists(reference) ? -1 : reference.lastIndexOf('#');
    Optional<String> name =
        hash < 0 ? Optional.empty() : Optional.of(reference.substring(hash + 1));
    String path = hash < 0 ? reference : reference.substring(0, hash);
    try {
      return HostChoice.readNamed(file.resolveSibling(path), name);
    } catch (InvalidPathException e) {
      throw new BadInputException(file.toString(), 0, "host", "not a path: " + path);
    }
  }
}
