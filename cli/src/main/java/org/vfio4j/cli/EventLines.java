// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import picocli.CommandLine.Help.Ansi.Style;
import tools.jackson.core.JsonGenerator;

/**
 * What a command that goes on prints: each event at once, as text or as a line of JSON.
 *
 * @param more takes each event as a line of JSON that has the text, too
 */
record EventLines(Console console, boolean json, Optional<Consumer<String>> more) {

  EventLines(Console console, boolean json) {
    this(console, json, Optional.empty());
  }

  /** The same, for somebody else as well. */
  EventLines and(Consumer<String> reader) {
    return new EventLines(
        console, json, Optional.of(more.map(m -> m.andThen(reader)).orElse(reader)));
  }

  /**
   * Prints an event.
   *
   * @param name what has happened, in JSON
   * @param fields the rest of it, in JSON
   * @param text all of it for people; nothing is printed if it is empty
   */
  void event(String name, Consumer<JsonGenerator> fields, Supplier<String> text) {
    String line = json ? line(name, fields) : text.get();
    if (!line.isEmpty()) {
      print(line + "\n");
    }
    more.ifPresent(
        m ->
            m.accept(
                line(
                    name,
                    g -> {
                      fields.accept(g);
                      Json.put(g, "text", text.get());
                    })));
  }

  private static String line(String name, Consumer<JsonGenerator> fields) {
    return Json.line(
        g -> {
          Json.put(g, "event", name);
          fields.accept(g);
        });
  }

  /** Several threads have something to say. */
  private void print(String text) {
    synchronized (console) {
      console.out().print(text);
      console.out().flush();
    }
  }

  String paint(Style style, String text) {
    return more.isPresent() ? text : console.paint(style, text);
  }
}
