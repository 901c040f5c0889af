// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code vfio events}: what happens at a daemon. */
@Command(
    name = "events",
    mixinStandardHelpOptions = true,
    description = {
      "Prints what happens at the daemon of this host, from its last events on, until Ctrl-C: who"
          + " comes and goes, what is bound, served, held, draining."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {"  vfio events --json | jq .", "", "Exit status: 0 ended, 1 no daemon answers."})
final class EventsCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private DaemonClient daemon = new DaemonClient();

  EventsCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    return daemon.ask(console, "GET", DaemonClient.path("events"), "");
  }
}
