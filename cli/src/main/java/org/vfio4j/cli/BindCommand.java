// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.vfio.DriverKind;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio bind}: devices to VFIO. */
@Command(
    name = "bind",
    mixinStandardHelpOptions = true,
    description = {
      "Hands devices of this machine to VFIO: all that are named, or none. Remembers the driver"
          + " each had, for 'vfio release'.",
      "A group goes as a whole. What the host itself uses is taken only where it is named with"
          + " --force: its disks (mounted, swapping, in LVM, RAID, ZFS or bcache), its networks (up"
          + " with an address, in a bridge or bond, a default route), its console; and what may be"
          + " one of these where that cannot be told. Other devices of the same id are not touched."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio bind 0000:01:00.0 0000:01:00.1",
      "  vfio bind 0000:01:00.0 --group      and what else of its group the host uses",
      "  vfio bind 0000:01:00.0 --dry-run    only say what would be done"
    })
final class BindCommand implements Callable<Integer> {

  private final Console console;
  private final Supplier<LocalDevices> machine;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "ADDRESS", arity = "0..*", description = "PCI addresses.")
  private List<String> addresses = new ArrayList<>();

  @Option(
      names = "--force",
      paramLabel = "ADDRESS",
      description = "Take this device although the host lives on it.")
  private List<String> forced = new ArrayList<>();

  @Option(
      names = "--group",
      description = "Take also what else the host uses of the groups of these devices.")
  private boolean group;

  @Option(
      names = "--driver",
      paramLabel = "NAME",
      description = "A driver of VFIO for this kind of device. Default: vfio-pci.")
  private String driver = DriverKind.VFIO_PCI;

  @Option(names = "--dry-run", description = "Say what would be done, and do nothing.")
  private boolean dryRun;

  @Option(names = "--json", description = "Print what was done, or why not, as JSON.")
  private boolean json;

  BindCommand(Console console, Supplier<LocalDevices> machine) {
    this.console = console;
    this.machine = machine;
  }

  @Override
  public Integer call() {
    if (!DriverKind.offers(driver)) {
      throw bad("--driver " + driver + ": is no driver of VFIO");
    }
    List<PciAddress> force = LocalDevices.addresses(forced);
    List<PciAddress> named = new ArrayList<>(LocalDevices.addresses(addresses));
    force.stream().filter(a -> !named.contains(a)).forEach(named::add);
    if (named.isEmpty()) {
      throw bad("no device named");
    }
    LocalDevices local = machine.get();
    local.require(named);
    BindingReport report = new BindingReport(console, json);
    Takeover takeover = Takeover.of(local.host(), named, force, group);
    if (!takeover.refusals().isEmpty()) {
      return report.refused(takeover.refusals());
    }
    List<String> all = takeover.functions().stream().map(PciAddress::toString).toList();
    if (dryRun) {
      return report.planned(all, a -> local.host().function(PciAddress.parse(a)), driver);
    }
    try {
      return report.done(all, local.binding().bind(all, driver));
    } catch (BindingException e) {
      return report.refused(List.of(String.valueOf(e.getMessage())));
    }
  }

  private ParameterException bad(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
