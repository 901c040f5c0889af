// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.StringWriter;
import java.util.Collection;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.PrettyPrinter;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.util.DefaultIndenter;
import tools.jackson.core.util.DefaultPrettyPrinter;
import tools.jackson.core.util.Separators;

/** JSON as this command prints it: indented, absent values left out, one line break at the end. */
final class Json {

  private static final JsonFactory FACTORY = new JsonFactory();

  private Json() {}

  /** Prints one JSON value. */
  static void print(Console console, Consumer<JsonGenerator> value) {
    console.out().print(escaped(text(value)));
  }

  /**
   * JSON that means the same and steers no terminal. A generator escapes what JSON forbids, the
   * controls of ASCII, and no other; all of them can only stand within strings.
   */
  static String escaped(String json) {
    StringBuilder out = new StringBuilder(json.length());
    for (int n = 0; n < json.length(); n++) {
      char c = json.charAt(n);
      boolean pair =
          Character.isHighSurrogate(c)
              && n + 1 < json.length()
              && Character.isLowSurrogate(json.charAt(n + 1));
      int point = pair ? json.codePointAt(n) : c;
      int units = Character.charCount(point);
      if (point != '\n' && Text.steers(point)) {
        json.substring(n, n + units).chars().forEach(u -> out.append("\\u%04x".formatted(u)));
      } else {
        out.appendCodePoint(point);
      }
      n += units - 1;
    }
    return out.toString();
  }

  /** One JSON value, ending in a line break. */
  static String text(Consumer<JsonGenerator> value) {
    StringWriter out = new StringWriter();
    try (JsonGenerator generator = FACTORY.createGenerator(new Indented(), out)) {
      value.accept(generator);
    }
    return out.append('\n').toString();
  }

  /** One JSON object without any line break, for streams of them. */
  static String line(Consumer<JsonGenerator> fields) {
    StringWriter out = new StringWriter();
    try (JsonGenerator generator = FACTORY.createGenerator(ObjectWriteContext.empty(), out)) {
      generator.writeStartObject();
      fields.accept(generator);
      generator.writeEndObject();
    }
    return escaped(out.toString());
  }

  /** A text property. */
  static void put(JsonGenerator g, String name, String value) {
    g.writeStringProperty(name, value);
  }

  /** A text property, left out where it is absent. */
  static void put(JsonGenerator g, String name, Optional<?> value) {
    value.ifPresent(v -> g.writeStringProperty(name, v.toString()));
  }

  /** A list of texts, left out where it is empty. */
  static void put(JsonGenerator g, String name, Collection<?> values) {
    if (!values.isEmpty()) {
      g.writeArrayPropertyStart(name);
      values.forEach(v -> g.writeString(v.toString()));
      g.writeEndArray();
    }
  }

  /** A list of objects, written also where it is empty. */
  static <T> void objects(
      JsonGenerator g, String name, Collection<T> items, BiConsumer<JsonGenerator, T> fields) {
    g.writeName(name);
    objects(g, items, fields);
  }

  /** A list of objects that stands by itself. */
  static <T> void objects(
      JsonGenerator g, Collection<T> items, BiConsumer<JsonGenerator, T> fields) {
    g.writeStartArray();
    for (T item : items) {
      g.writeStartObject();
      fields.accept(g, item);
      g.writeEndObject();
    }
    g.writeEndArray();
  }

  private static final class Indented extends ObjectWriteContext.Base {
    @Override
    public PrettyPrinter getPrettyPrinter() {
      DefaultIndenter lines = new DefaultIndenter("  ", "\n");
      Separators separators =
          Separators.createDefaultInstance()
              .withObjectNameValueSpacing(Separators.Spacing.AFTER)
              .withObjectEmptySeparator("")
              .withArrayEmptySeparator("");
      return new DefaultPrettyPrinter(separators)
          .withObjectIndenter(lines)
          .withArrayIndenter(lines);
    }

    @Override
    public boolean hasPrettyPrinter() {
      return true;
    }
  }
}
