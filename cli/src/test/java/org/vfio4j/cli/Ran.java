// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * What a run of the command left behind.
 *
 * @param status its exit status
 * @param out what it printed
 * @param err what it complained about
 */
record Ran(int status, String out, String err) {

  /** The folder of the repository. */
  static final Path ROOT = Path.of("..");

  /** Runs the command as if its output went to a file. */
  static Ran vfio(Object... arguments) {
    return on(Console.DEFAULT_WIDTH, false, arguments);
  }

  /** Runs the command on a screen. */
  static Ran on(int width, boolean colour, Object... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    String[] words = new String[arguments.length];
    for (int i = 0; i < words.length; i++) {
      words[i] = arguments[i].toString();
    }
    Console console =
        new Console(new Screen(stream(out)), new Screen(stream(err)), width, colour, true, false);
    int status = Main.run(console, words);
    return new Ran(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private static PrintStream stream(ByteArrayOutputStream bytes) {
    return new PrintStream(bytes, false, StandardCharsets.UTF_8);
  }

  /** A host of the examples. */
  static Path host(String name) {
    return ROOT.resolve("examples/hosts/" + name + ".json");
  }

  /** The lines that were printed. */
  java.util.List<String> lines() {
    return out.lines().toList();
  }
}
