// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio down}: a daemon serves a VM no more. */
@Command(
    name = "down",
    mixinStandardHelpOptions = true,
    description = {
      "Has the daemon of this host give back what VMs have, and forget them. A VM that runs is not"
          + " touched: end it first."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {"  vfio down web", "", "Exit status: 0 done, 1 refused."})
final class DownCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(paramLabel = "VM", arity = "1..*", description = "Which, by name.")
  private List<String> vms = List.of();

  @Option(
      names = "--force",
      description = "Take its devices from a VM that runs: its guest loses them at once.")
  private boolean force;

  @Mixin private DaemonClient daemon = new DaemonClient();

  DownCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    int status = Main.OK;
    for (String vm : vms) {
      String path = DaemonClient.path("vms", vm) + (force ? "?force=yes" : "");
      status = Math.max(status, daemon.ask(console, "DELETE", path, ""));
    }
    return status;
  }
}
