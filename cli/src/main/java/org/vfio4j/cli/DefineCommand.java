// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.input.BadInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio define}: a UUID for a wrapped function. */
@Command(
    name = "define",
    mixinStandardHelpOptions = true,
    description = {
      "Gives a function that is to be wrapped a UUID, by which 'vfio check', 'up' and 'attach' know"
          + " it from then on. It stands where mdevctl keeps its own (/etc/mdevctl.d), in the same"
          + " format, as type "
          + MdevDefinition.WRAPPED
          + ", to be started by hand: 'mdevctl list -d' lists it, no kernel makes it.",
      "What is defined already stays as it is. 'mdevctl define -p ADDRESS -t "
          + MdevDefinition.WRAPPED
          + "' does the same."
    },
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {
      "  vfio define 0000:03:00.0",
      "  vfio define 0000:03:00.0 --uuid 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
      "  vfio undefine 0000:03:00.0",
      "",
      "Exit status: 0 it is defined, 1 refused, 2 bad input."
    })
final class DefineCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(paramLabel = "ADDRESS", description = "Which function, by its PCI address.")
  private String address = "";

  @Option(names = "--uuid", paramLabel = "UUID", description = "Which UUID. Default: any.")
  private Optional<String> uuid = Optional.empty();

  @Option(
      names = "--root",
      paramLabel = "DIR",
      description =
          "The root folder of the machine, where it is not this one: sys and etc are in it.")
  private Optional<Path> root = Optional.empty();

  @Option(names = "--json", description = "Print what is defined, or why not, as JSON.")
  private boolean json;

  DefineCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    Optional<UUID> wanted = uuid.map(DefineCommand::parsed);
    WrappedDefinitions.Outcome outcome =
        WrappedDefinitions.of(root)
            .define(LocalDevices.addresses(List.of(address)).getFirst(), wanted);
    return WrappedDefinitions.print(console, json, "defined", outcome);
  }

  private static UUID parsed(String text) {
    return Mdev.parseUuid(text)
        .orElseThrow(
            () ->
                new BadInputException(
                    text, 0, "", "is no UUID, as in 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"));
  }
}
