// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio attach}: a VM of a daemon gets a device more. */
@Command(
    name = "attach",
    mixinStandardHelpOptions = true,
    description = {
      "Has the daemon of this host give a VM a function more, if 'vfio check' would. Where the VM's"
          + " file says 'qmp: PATH' it is plugged into the running VM, else what to type is said."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio attach web 0000:01:00.0",
      "  vfio detach db 0000:01:00.0 && vfio attach web 0000:01:00.0",
      "",
      "Exit status: 0 done, 1 refused, 2 bad input."
    })
final class AttachCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(index = "0", paramLabel = "VM", description = "Which VM, by name.")
  private String vm = "";

  @Parameters(
      index = "1",
      paramLabel = "DEVICE",
      description = "Which function, by address; or by the UUID that 'vfio define' gave it.")
  private String device = "";

  @Option(names = "--wrapped", description = "Give it a device that wraps the function.")
  private boolean wrapped;

  @Option(
      names = "--no-reset",
      description = {
        "Give it away although it cannot be reset, and another VM had it: what that VM has left in"
            + " it is there."
      })
  private boolean unreset;

  @Mixin private DaemonClient daemon = new DaemonClient();

  AttachCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    String body =
        DaemonClient.object(
            g -> {
              Json.put(g, "device", device);
              g.writeBooleanProperty("wrapped", wrapped);
              g.writeBooleanProperty("reset", !unreset);
            });
    return daemon.ask(console, "POST", DaemonClient.path("vms", vm, "devices"), body);
  }
}
