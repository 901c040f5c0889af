// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VerdictJson;
import org.vfio4j.assign.request.Written;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciIds;
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
      "  vfio check win10.xml --host here.json       # domain XML of libvirt",
      "  vfio check vms.yaml --svg a.svg             # a picture: who gets what, and who is in the"
          + " way",
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
  private final Console console;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = {
        "Which VM gets which devices: our own YAML; or, with --host, domain XML of libvirt, the"
            + " configuration of a Proxmox VM, command lines of QEMU or cloud-hypervisor, or"
            + " cloud-hypervisor's JSON. Several files are several VMs."
      })
  private List<Path> files = List.of();

  @Option(
      names = "--host",
      paramLabel = "SOURCE",
      completionCandidates = AskedAssignment.ThisMachine.class,
      description = {
        "The host, where the file does not name it, or another than it names: what 'vfio host'"
            + " reads, SOURCE#NAME for one of several, or: linux, this machine."
      })
  private Optional<String> hostSource = Optional.empty();

  @Option(
      names = "--as",
      paramLabel = "FORM",
      description = {
        "Where the verdict is that all is admitted, print instead what to put there:"
            + " qemu, libvirt, proxmox."
      })
  private Optional<Written> written = Optional.empty();

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

  @Mixin private PictureFile picture = new PictureFile();

  @Option(names = "--json", description = "Print the verdict as JSON.")
  private boolean json;

  CheckCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    picture.check();
    Options options = kernel.options(Options.DEFAULT.strictly(strict).forcing(forcedAddresses()));
    AskedAssignment asked = AskedAssignment.read(files, hostSource).besideWhatRuns();
    HostTopology host = asked.host();
    Request request = asked.request();
    Verdict verdict;
    try (ProgressLine progress = ProgressLine.of(console)) {
      verdict = Check.verdict(request, host, options, progress);
    }
    if (picture.isAskedFor()) {
      picture.draw(console, CheckPicture.of(verdict, request, host, PciIds.ofMachine()));
    }
    if (!picture.isAnswer()) {
      print(verdict, request, host);
    }
    if (verdict.badInput()) {
      return Main.BAD_INPUT;
    }
    return verdict.admitted() ? Main.OK : Main.REFUSED;
  }

  private void print(Verdict verdict, Request request, HostTopology host) {
    if (written.isPresent() && verdict.admitted()) {
      console.out().print(written.get().text(request, host));
    } else if (json) {
      Json.print(console, g -> VerdictJson.write(g, verdict));
    } else {
      new CheckRendering(console, host, PciIds.ofMachine())
          .print(verdict, request.running().size());
      if (picture.isAskedFor()) {
        console.out().println(picture.drawn());
      }
    }
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
}
