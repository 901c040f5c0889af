// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An entry of a text resource: lines of {@code key: value}, a key as often as needed, until an
 * empty line. A line that begins with two spaces goes on with the value before; lines that begin
 * with # are remarks.
 *
 * @param fields the values of each key, in their order
 */
record Block(Map<String, List<String>> fields) {

  private static final String SEPARATOR = ": ";
  private static final String MORE = "  ";

  /** All entries of a resource. */
  static List<Block> read(String resource) {
    List<Block> blocks = new ArrayList<>();
    Map<String, List<String>> fields = new LinkedHashMap<>();
    List<String> last = List.of();
    for (String line : text(resource).split("\n")) {
      if (line.startsWith("#")) {
        continue;
      }
      if (line.isBlank() && !fields.isEmpty()) {
        blocks.add(new Block(fields));
        fields = new LinkedHashMap<>();
        last = List.of();
      } else if (line.startsWith(MORE) && !last.isEmpty()) {
        last.set(last.size() - 1, last.getLast() + " " + line.strip());
      } else if (!line.isBlank()) {
        int at = line.indexOf(SEPARATOR);
        if (at < 0) {
          throw new IllegalStateException(resource + ": no key in '" + line + "'");
        }
        last = fields.computeIfAbsent(line.substring(0, at), k -> new ArrayList<>());
        last.add(line.substring(at + SEPARATOR.length()).strip());
      }
    }
    if (!fields.isEmpty()) {
      blocks.add(new Block(fields));
    }
    return blocks;
  }

  private static String text(String resource) {
    try (InputStream in = Block.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("resource is missing: " + resource);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The values of a key, none if it is not there. */
  List<String> all(String key) {
    return fields.getOrDefault(key, List.of());
  }

  /** The value of a key that must be there once. */
  String one(String key) {
    List<String> values = all(key);
    if (values.size() != 1) {
      throw new IllegalStateException("%s: %d values in %s".formatted(key, values.size(), fields));
    }
    return values.getFirst();
  }
}
