// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An entry of a text resource: lines of {@code key: value}, a key as often as needed, until an
 * empty line. Lines that begin with # are remarks.
 *
 * @param fields the values of each key, in their order
 */
record Block(Map<String, List<String>> fields) {

  private static final String SEPARATOR = ": ";

  /** All entries of a resource. */
  static List<Block> read(String resource) {
    List<Block> blocks = new ArrayList<>();
    Map<String, List<String>> fields = new LinkedHashMap<>();
    for (String line : (Iterable<String>) Resources.text(resource).lines()::iterator) {
      if (line.startsWith("#")) {
        continue;
      }
      if (line.isBlank() && !fields.isEmpty()) {
        blocks.add(new Block(fields));
        fields = new LinkedHashMap<>();
      } else if (!line.isBlank()) {
        int at = line.indexOf(SEPARATOR);
        if (at < 0) {
          throw new IllegalStateException(resource + ": no key in '" + line + "'");
        }
        fields
            .computeIfAbsent(line.substring(0, at), k -> new ArrayList<>())
            .add(line.substring(at + SEPARATOR.length()).strip());
      }
    }
    if (!fields.isEmpty()) {
      blocks.add(new Block(fields));
    }
    return blocks;
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
