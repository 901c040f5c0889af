// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio detach}: a VM of a daemon loses a device. */
@Command(
    name = "detach",
    mixinStandardHelpOptions = true,
    description = {
      "Has the daemon of this host take a function from a VM, and give it back. Where the VM's file"
          + " says 'qmp: PATH' it is unplugged from the running VM first, which takes a guest that"
          + " plays along; else what to type is said."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {"  vfio detach web 0000:01:00.0", "", "Exit status: 0 done, 1 refused, 2 bad input."})
final class DetachCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(index = "0", paramLabel = "VM", description = "Which VM, by name.")
  private String vm = "";

  @Parameters(
      index = "1",
      paramLabel = "DEVICE",
      description = "Which function, by address; or by the UUID that 'vfio define' gave it.")
  private String device = "";

  @Option(names = "--force", description = "Take it from a guest that uses it, at once.")
  private boolean force;

  @Mixin private DaemonClient daemon = new DaemonClient();

  DetachCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    String path = DaemonClient.path("vms", vm, "devices", device) + (force ? "?force=yes" : "");
    return daemon.ask(console, "DELETE", path, "");
  }
}
