// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.vfio4j.host.CaptureWriter;
import org.vfio4j.host.HostTopology;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code vfio capture}: a host as a file. */
@Command(
    name = "capture",
    mixinStandardHelpOptions = true,
    description = {
      "Writes what a host looks like as JSON, to be read on another machine or kept to compare.",
      "What the source does not say is left out, not guessed."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio capture -o here.json              this machine",
      "  vfio capture lspci.txt -o there.json   from the output of 'lspci -vvv -nn'",
      "  ssh kvm7 lspci -vvv -nn > kvm7.txt; vfio capture kvm7.txt",
      "  vfio capture groups.txt --name 5.9     one of several kernels in a file"
    })
final class CaptureCommand implements Callable<Integer> {

  private final Console console;

  @Mixin private HostChoice choice = new HostChoice();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Where to write it. Standard output if left out.")
  private Optional<Path> output = Optional.empty();

  @Option(names = "--force", description = "Replace a file that is there already.")
  private boolean force;

  @Option(names = "--no-descriptions", description = "Leave out the names of devices in words.")
  private boolean noDescriptions;

  @Option(names = "--json", description = "With -o: say what was written as JSON.")
  private boolean json;

  CaptureCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    HostTopology host = choice.host();
    String capture = CaptureWriter.write(noDescriptions ? host.withoutDescriptions() : host);
    if (output.isEmpty()) {
      console.out().print(Json.escaped(capture));
      return Main.OK;
    }
    OutputFile.write(output.get(), capture, force);
    if (json) {
      Json.print(
          console,
          g -> {
            g.writeStartObject();
            Json.put(g, "written", output);
            Json.put(g, "name", host.name());
            g.writeNumberProperty("functions", host.functions().size());
            g.writeNumberProperty("groups", host.groups().size());
            g.writeEndObject();
          });
    } else {
      console
          .out()
          .printf(
              "%s: %s, %s%n",
              Text.printable(output.get().toString()),
              Text.count(host.functions().size(), "function"),
              Text.count(host.groups().size(), "group"));
    }
    return Main.OK;
  }
}
