// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.function.Consumer;
import java.util.function.Supplier;
import picocli.CommandLine.Help.Ansi.Style;
import tools.jackson.core.JsonGenerator;

/** What a command that goes on prints: each event at once, as text or as a line of JSON. */
record EventLines(Console console, boolean json) {

  /**
   * Prints an event.
   *
   * @param name what has happened, in JSON
   * @param fields the rest of it, in JSON
   * @param text all of it for people; nothing is printed if it is empty
   */
  void event(String name, Consumer<JsonGenerator> fields, Supplier<String> text) {
    String line =
        json
            ? Json.line(
                g -> {
                  Json.put(g, "event", name);
                  fields.accept(g);
                })
            : text.get();
    if (!line.isEmpty()) {
      print(line + "\n");
    }
  }

  /** Several threads have something to say. */
  private void print(String text) {
    synchronized (console) {
      console.out().print(text);
      console.out().flush();
    }
  }

  String paint(Style style, String text) {
    return console.paint(style, text);
  }
}
