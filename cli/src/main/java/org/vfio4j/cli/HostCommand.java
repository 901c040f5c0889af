// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.host.HostTopology;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vfio host}: what a machine has. */
@Command(
    name = "host",
    mixinStandardHelpOptions = true,
    description = {
      "Shows the devices of a host by IOMMU group: who holds them, and what shares a group with"
          + " what. A group goes to one owner as a whole."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio host                               this machine",
      "  vfio host examples/hosts/pex8748.json   a machine of which there is a capture",
      "  vfio host lspci.txt                     output of 'lspci -vvv -nn'",
      "  vfio host groups.txt --name 5.9         one of several kernels in a file",
      "  vfio host here.json --svg here.svg      a drawing for a browser"
    })
final class HostCommand implements Callable<Integer> {

  private final Console console;

  @Mixin private HostChoice choice = new HostChoice();

  @Option(
      names = "--svg",
      paramLabel = "FILE",
      description = "Draw the tree of bridges, the groups and who holds them; '-' prints it.")
  private Optional<Path> svg = Optional.empty();

  @Option(names = "--force", description = "With --svg: replace a file that is there already.")
  private boolean force;

  @Option(names = "--json", description = "Print the capture and the facts of each group as JSON.")
  private boolean json;

  HostCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    HostTopology host = choice.host();
    if (svg.isPresent()) {
      String drawing = HostDrawing.of(host);
      if (svg.get().toString().equals("-")) {
        console.out().print(drawing);
        return Main.OK;
      }
      OutputFile.write(svg.get(), drawing, force);
    }
    if (json) {
      HostJson.print(console, host);
    } else if (svg.isEmpty()) {
      new HostText(console, host).print();
    } else {
      console.out().println("drawn: " + Text.printable(svg.get().toString()));
    }
    return Main.OK;
  }
}
