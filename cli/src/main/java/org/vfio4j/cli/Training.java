// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The usual commands one after the other, for the JVM to see which classes they need. The launcher
 * runs it once after a build; what it prints goes nowhere.
 */
final class Training {

  private Training() {}

  /** Takes the folder with the examples. */
  public static void main(String[] arguments) throws IOException {
    Path examples = Path.of(arguments[0]);
    String server = examples.resolve("hosts/vgpu-server.json").toString();
    String q35 = examples.resolve("hosts/qemu-q35.json").toString();
    String script = script().toString();
    String tour = examples.resolve("tour.yaml").toString();
    String[][] commands = {
      {"--version"},
      {"--help"},
      {"host", server},
      {"host", server, "--json"},
      {"host", server, "--svg", "-"},
      {"capture", server},
      {"replay", script, "--host", q35},
      {"replay", script, "--host", q35, "--json"},
      {"explain", "EBUSY"},
      {"explain", "group 1 is not viable", "--json"},
      {"check", tour},
      {"check", tour, "--json"},
      {"check", "--nothing"},
      {"completion"},
    };
    try (PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8)) {
      for (int width : new int[] {Console.DEFAULT_WIDTH, Console.MIN_WIDTH}) {
        for (String[] command : commands) {
          Main.run(new Console(nowhere, nowhere, width, true, true, false), command);
        }
      }
    }
    Console.ofProcess();
  }

  private static Path script() throws IOException {
    Path script = Files.createTempFile("vfio", ".vt");
    script.toFile().deleteOnExit();
    return Files.writeString(
        script,
        """
        case training
        c = cont
        g = grp 0000:00:02.0
        setcont $g $c
        setiommu $c 3
        map $c buf 0 0x1000
        d = devfd $g 0000:00:02.0
        unmap $c 0 0x1000
        """);
  }
}
