// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.concurrent.Callable;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciIds;
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
      "  vfio host here.json --svg here.svg      a picture for a browser or a page"
    })
final class HostCommand implements Callable<Integer> {

  private final Console console;

  @Mixin private HostChoice choice = new HostChoice();

  @Mixin private PictureFile picture = new PictureFile();

  @Option(names = "--json", description = "Print the capture and the facts of each group as JSON.")
  private boolean json;

  HostCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    picture.check();
    HostTopology host = choice.host();
    if (picture.isAskedFor()) {
      picture.draw(console, HostPicture.of(host, PciIds.ofMachine()));
      if (picture.isAnswer()) {
        return Main.OK;
      }
    }
    if (json) {
      HostJson.print(console, host);
    } else if (picture.isAskedFor()) {
      console.out().println(picture.drawn());
    } else {
      new HostText(console, host, PciIds.ofMachine()).print();
    }
    return Main.OK;
  }
}
