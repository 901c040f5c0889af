// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** {@code vfio completion}: a script for the shell. */
@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = "Prints a script with which bash or zsh completes this command.",
    footerHeading = "%nExamples%n",
    footer = {
      "  source <(vfio completion)     for this shell",
      "  vfio completion > ~/.local/share/bash-completion/completions/vfio"
    })
final class CompletionCommand implements Callable<Integer> {

  private final Console console;

  CompletionCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    CommandLine line = Main.commandLine(new VfioCommand(console), console);
    console.out().print(CompletionScript.of(line));
    return Main.OK;
  }
}
