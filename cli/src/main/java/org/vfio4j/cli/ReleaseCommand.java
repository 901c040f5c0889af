// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.BindingException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio release}: devices back to their drivers. */
@Command(
    name = "release",
    mixinStandardHelpOptions = true,
    description = {
      "Gives devices of this machine back to the drivers they had before 'vfio bind'. One that VFIO"
          + " has and of which nothing is remembered goes to the driver the kernel chooses.",
      "Nothing is done if somebody uses one of them."
    },
    sortOptions = false,
    footerHeading = "%nExample%n",
    footer = "  vfio release 0000:01:00.0 0000:01:00.1")
final class ReleaseCommand implements Callable<Integer> {

  private final Console console;
  private final Supplier<LocalDevices> machine;

  @Parameters(paramLabel = "ADDRESS", arity = "1..*", description = "PCI addresses.")
  private List<String> addresses = new ArrayList<>();

  @Option(names = "--json", description = "Print what was done, or why not, as JSON.")
  private boolean json;

  ReleaseCommand(Console console, Supplier<LocalDevices> machine) {
    this.console = console;
    this.machine = machine;
  }

  @Override
  public Integer call() {
    List<PciAddress> named = LocalDevices.addresses(addresses);
    LocalDevices local = machine.get();
    local.require(named);
    BindingReport report = new BindingReport(console, json);
    List<String> all = named.stream().map(PciAddress::toString).toList();
    try {
      return report.done(all, local.binding().release(all));
    } catch (BindingException e) {
      return report.refused(List.of(String.valueOf(e.getMessage())));
    }
  }
}
