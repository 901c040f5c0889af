// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vfio undefine}: undoes {@code vfio define}. */
@Command(
    name = "undefine",
    mixinStandardHelpOptions = true,
    description = {
      "Removes the UUID of a wrapped function that 'vfio define' gave it. A VM that has the"
          + " function keeps it; one that asks for the UUID later is refused."
    },
    sortOptions = false,
    footerHeading = "%nExample%n",
    footer = {
      "  vfio undefine 0000:03:00.0",
      "",
      "Exit status: 0 it is not defined any more, 1 refused, 2 bad input."
    })
final class UndefineCommand implements Callable<Integer> {
  private final Console console;

  @Parameters(
      paramLabel = "UUID|ADDRESS",
      description = "Which, by its UUID or by the address of the function.")
  private String name = "";

  @Option(
      names = "--root",
      paramLabel = "DIR",
      description = "The root folder of the machine, where it is not this one.")
  private Optional<Path> root = Optional.empty();

  @Option(names = "--json", description = "Print what was removed, or why not, as JSON.")
  private boolean json;

  UndefineCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return WrappedDefinitions.print(
        console, json, "removed", WrappedDefinitions.of(root).undefine(name));
  }
}
