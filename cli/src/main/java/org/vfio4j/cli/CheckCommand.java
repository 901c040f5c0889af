// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.request.Written;
import org.vfio4j.host.PciIds;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

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

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = {
        "Which VM gets which devices: our own YAML; or, with --host, domain XML of libvirt, the"
            + " configuration of a Proxmox VM, command lines of QEMU or cloud-hypervisor, or"
            + " cloud-hypervisor's JSON. Several files are several VMs."
      })
  private List<Path> files = List.of();

  @Mixin private AssignmentChoice choice = new AssignmentChoice();

  @Option(
      names = "--as",
      paramLabel = "FORM",
      description = {
        "Where the verdict is that all is admitted, print instead what to put there:"
            + " qemu, libvirt, proxmox."
      })
  private Optional<Written> written = Optional.empty();

  @Option(
      names = "--strict",
      description = {"Refuse what rests on facts the source does not say, and what no Linux does."})
  private boolean strict;

  @Mixin private PictureFile picture = new PictureFile();

  @Option(names = "--json", description = "Print the verdict as JSON.")
  private boolean json;

  CheckCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    picture.check();
    AskedAssignment asked = choice.read(files).besideWhatRuns();
    Verdict verdict = choice.verdict(console, asked, strict);
    if (picture.isAskedFor()) {
      picture.draw(
          console, CheckPicture.of(verdict, asked.request(), asked.host(), PciIds.ofMachine()));
    }
    if (!picture.isAnswer()) {
      print(verdict, asked);
    }
    return AssignmentChoice.status(verdict);
  }

  private void print(Verdict verdict, AskedAssignment asked) {
    if (written.isPresent() && verdict.admitted()) {
      console.out().print(written.get().text(asked.request(), asked.host()));
      return;
    }
    AssignmentChoice.print(console, json, verdict, asked);
    if (!json && picture.isAskedFor()) {
      console.out().println(picture.drawn());
    }
  }
}
