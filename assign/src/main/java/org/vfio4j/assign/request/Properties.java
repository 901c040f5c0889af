// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.host.tree.Tree;
import org.vfio4j.host.tree.TreeReader;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/**
 * The value of an option that has properties, as in {@code vfio-pci,host=01:00.0} or {@code
 * {"driver":"vfio-pci","host":"01:00.0"}}.
 *
 * @param values each property by its name
 */
record Properties(Map<String, String> values) {

  /**
   * Reads them.
   *
   * @param first the name of what stands first without one, as {@code driver}
   */
  static Properties of(String source, String text, String first) {
    if (text.startsWith("{")) {
      return ofJson(source, text);
    }
    Map<String, String> values = new LinkedHashMap<>();
    boolean begun = false;
    // A comma that is doubled is a part of the value.
    for (String part : text.replace(",,", "\0").split(",")) {
      String plain = part.replace('\0', ',');
      int equals = plain.indexOf('=');
      if (equals >= 0) {
        values.put(plain.substring(0, equals), plain.substring(equals + 1));
      } else {
        values.put(begun ? plain : first, begun ? "on" : plain);
      }
      begun = true;
    }
    return new Properties(values);
  }

  private static Properties ofJson(String source, String text) {
    Map<String, String> values = new LinkedHashMap<>();
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), text)) {
      TreeReader.read(parser, source)
          .asObject()
          .fields()
          .forEach(
              (name, value) -> {
                switch (value) {
                  case Tree.Text t -> values.put(name, t.value());
                  case Tree.Num n -> values.put(name, n.literal());
                  case Tree.Bool b -> values.put(name, b.value() ? "on" : "off");
                  case Tree.Obj _, Tree.Arr _, Tree.Nil _ -> {}
                }
              });
    }
    return new Properties(values);
  }

  Optional<String> get(String name) {
    return Optional.ofNullable(values.get(name));
  }

  boolean is(String name) {
    return get(name).filter(v -> v.equals("on") || v.equals("true") || v.equals("yes")).isPresent();
  }
}
