// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.vfio4j.assign.Sizes;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code vfio ps}: what a daemon serves. */
@Command(
    name = "ps",
    mixinStandardHelpOptions = true,
    description = "Shows the VMs of the daemon of this host, their devices, and who has them now.",
    sortOptions = false,
    footerHeading = "%nExamples%n",
    footer = {"  vfio ps", "  vfio ps --json", "", "Exit status: 0 done, 1 no daemon answers."})
final class PsCommand implements Callable<Integer> {
  private final Console console;

  @Mixin private DaemonClient daemon = new DaemonClient();

  PsCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    return daemon.ask(console, "GET", DaemonClient.path("vms"), "", this::print);
  }

  private void print(JsonNode answer) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("VM", "STATE", "MAPPED", "DEVICE", "", "PROCESS"));
    for (JsonNode vm : answer.path("vms")) {
      String name = vm.path("name").asString("");
      String state = vm.path("state").asString("");
      long mapped = vm.path("mapped").asLong(0);
      boolean first = true;
      for (JsonNode device : vm.path("devices")) {
        rows.add(
            List.of(
                first ? name : "",
                first ? state : "",
                first && mapped > 0 ? Sizes.of(mapped) : "",
                device.path("device").asString(""),
                phase(device.path("phase").asString("")) + trouble(device),
                device.path("pid").asString("")));
        first = false;
      }
      if (first) {
        rows.add(List.of(name, state, "", vm.path("why").asString(""), "", ""));
      }
    }
    if (rows.size() == 1) {
      console.out().println("No VMs: 'vfio up -d FILE' brings some.");
      return;
    }
    int[] widths = new int[rows.getFirst().size()];
    for (List<String> row : rows) {
      for (int n = 0; n < widths.length - 1; n++) {
        boolean why = row.get(1).equals("failed") && n == 3;
        widths[n] = why ? widths[n] : Math.max(widths[n], Text.width(row.get(n)) + 2);
      }
    }
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int n = 0; n < widths.length; n++) {
        line.append(Text.pad(Text.printable(row.get(n)), widths[n]));
      }
      console.out().println(line.toString().stripTrailing());
    }
  }

  private static String trouble(JsonNode device) {
    String trouble = device.path("trouble").asString("");
    return trouble.isEmpty() ? "" : ", " + trouble;
  }

  private static String phase(String phase) {
    return switch (phase) {
      case "connected" -> "in use";
      case "idle" -> "free";
      default -> phase;
    };
  }
}
